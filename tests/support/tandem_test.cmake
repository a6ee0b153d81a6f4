# tandem_test(NAME SOURCES file... [LINK target...] [RANKS 1 2 4] [TIMEOUT seconds] [LABELS label...])
#
# One GoogleTest program; for every entry of RANKS one ctest. With several ranks the program is started by mpirun under a
# timeout that ends the whole job. RANKS absent: one process without a launcher.

# The tests' own code computes little and its compilers' time is most of a build's: it is not optimised.
add_library(tandem_test_options INTERFACE)
target_compile_options(tandem_test_options INTERFACE -O0 $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)  # the latter is for ccache
target_link_libraries(tandem_test_options INTERFACE tandem_warnings)

# What most tests include and is slow to read, precompiled once; every file still includes what it uses, and a build with
# CMAKE_DISABLE_PRECOMPILE_HEADERS=ON shows that it does.
add_library(tandem_test_main STATIC ${CMAKE_CURRENT_LIST_DIR}/main.cpp)
target_link_libraries(tandem_test_main PUBLIC GTest::gtest tandem_parallel PRIVATE nlohmann_json::nlohmann_json tandem_test_options)
target_precompile_headers(tandem_test_main PRIVATE <gtest/gtest.h> <nlohmann/json.hpp> <fmt/format.h> <algorithm> <filesystem> <fstream> <functional> <map>
                          <optional> <random> <string> <vector>)

# tandem_test_objects(NAME SOURCES file... [LINK target...]): tests or parts of tests that several programs LINK, compiled once.
function(tandem_test_objects NAME)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${NAME} OBJECT EXCLUDE_FROM_ALL ${ARG_SOURCES})
  target_link_libraries(${NAME} PUBLIC GTest::gtest tandem_parallel ${ARG_LINK} PRIVATE tandem_test_options)
  target_precompile_headers(${NAME} REUSE_FROM tandem_test_main)
endfunction()

function(tandem_test NAME)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LINK;RANKS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 240)
  endif()
  add_executable(${NAME} ${ARG_SOURCES})
  target_link_libraries(${NAME} PRIVATE tandem_test_main ${ARG_LINK} tandem_test_options)
  target_precompile_headers(${NAME} REUSE_FROM tandem_test_main)
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
