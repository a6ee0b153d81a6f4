# tandem_program_test(NAME SOURCES file... [LINK target...] [TIMEOUT seconds] [LABELS label...]): a test that runs build/tandem itself.
include_guard(GLOBAL)
add_library(tandem_program_test STATIC ${CMAKE_CURRENT_LIST_DIR}/program.cpp ${CMAKE_CURRENT_LIST_DIR}/host_tensors.cpp
  ${CMAKE_CURRENT_LIST_DIR}/figures.cpp ${CMAKE_CURRENT_LIST_DIR}/text_model.cpp)
target_link_libraries(tandem_program_test PUBLIC GTest::gtest nlohmann_json::nlohmann_json tandem_kernels PRIVATE tandem_test_options)
target_precompile_headers(tandem_program_test REUSE_FROM tandem_test_main)
target_compile_definitions(tandem_program_test PRIVATE TANDEM_SOURCE_DIR="${PROJECT_SOURCE_DIR}" TANDEM_PROGRAM="${PROJECT_BINARY_DIR}/tandem")

function(tandem_program_test NAME)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LINK;LABELS" ${ARGN})
  tandem_test(${NAME} SOURCES ${ARG_SOURCES} LINK tandem_program_test ${ARG_LINK} TIMEOUT ${ARG_TIMEOUT} LABELS ${ARG_LABELS})
  if(TARGET tandem)
    add_dependencies(${NAME} tandem)
  endif()
endfunction()
