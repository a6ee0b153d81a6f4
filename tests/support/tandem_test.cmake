# tandem_test(NAME SOURCES file... [LINK target...] [RANKS 1 2 4] [TIMEOUT seconds] [LABELS label...])
#
# One GoogleTest program; for every entry of RANKS one ctest. With several ranks the program is started by mpirun under a
# timeout that ends the whole job. RANKS absent: one process without a launcher.
add_library(tandem_test_main STATIC ${CMAKE_CURRENT_LIST_DIR}/main.cpp)
target_link_libraries(tandem_test_main PUBLIC GTest::gtest tandem_parallel PRIVATE tandem_warnings)

function(tandem_test NAME)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LINK;RANKS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 240)
  endif()
  add_executable(${NAME} ${ARG_SOURCES})
  target_link_libraries(${NAME} PRIVATE tandem_test_main ${ARG_LINK} tandem_warnings)
  target_compile_definitions(${NAME} PRIVATE TANDEM_SOURCE_DIR="${PROJECT_SOURCE_DIR}" TANDEM_PROGRAM="${PROJECT_BINARY_DIR}/tandem")
  if(NOT ARG_RANKS)
    add_test(NAME ${NAME} COMMAND ${NAME})
    set_tests_properties(${NAME} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
  else()
    foreach(ranks ${ARG_RANKS})
      add_test(NAME ${NAME}.np${ranks}
               COMMAND ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/mpi-run ${ranks} ${ARG_TIMEOUT} $<TARGET_FILE:${NAME}>)
      math(EXPR outer "${ARG_TIMEOUT} + 20")
      set_tests_properties(${NAME}.np${ranks} PROPERTIES TIMEOUT ${outer} LABELS "${ARG_LABELS}" PROCESSORS 2)
    endforeach()
  endif()
endfunction()
