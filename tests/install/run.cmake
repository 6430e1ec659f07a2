# Builds and runs consumer/ in an empty folder WORK against libdnn, as CASE says:
#   installed-*     libdnn is installed first (shared: the tree BUILT by the running build), then found by find_package
#   subdirectory-*  the consumer adds SOURCE by add_subdirectory
cmake_minimum_required(VERSION 3.25)
string(REGEX MATCH "^(installed|subdirectory)-(shared|static)$" matched ${CASE})
set(how ${CMAKE_MATCH_1})
string(COMPARE EQUAL ${CMAKE_MATCH_2} shared shared)
set(ENV{CMAKE_CXX_COMPILER_LAUNCHER} "${LAUNCHER}") # a list: as an argument it would fall apart
cmake_host_system_information(RESULT jobs QUERY NUMBER_OF_LOGICAL_CORES)

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${CASE}: failed: ${ARGN}")
  endif()
endfunction()

function(configure_and_build source binary)
  # Unoptimised: it is the linking that is tested, and every configuration compiles the library anew.
  run(${CMAKE_COMMAND} -S ${source} -B ${binary} -G ${GENERATOR} -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O0
      -DCMAKE_CXX_COMPILER=${CXX} -DDNN_DEPS=${PREFIX} -DDNN_CUDA=OFF
      -DDNN_BUILD_TESTS=OFF -DDNN_BUILD_EXAMPLES=OFF -DBUILD_SHARED_LIBS=${shared} ${ARGN})
  run(${CMAKE_COMMAND} --build ${binary} --parallel ${jobs})
endfunction()

file(REMOVE_RECURSE ${WORK} ${WORK}-libdnn)
set(consumer ${CMAKE_CURRENT_LIST_DIR}/consumer)
if(how STREQUAL "subdirectory")
  configure_and_build(${consumer} ${WORK} -DDNN_SOURCE=${SOURCE})
else()
  if(NOT shared OR NOT SHARED)
    set(BUILT ${WORK}-libdnn) # as deep as the others: ccache compares relative paths
    configure_and_build(${SOURCE} ${BUILT})
  endif()
  run(${CMAKE_COMMAND} --install ${BUILT} --prefix ${WORK}/prefix)
  find_program(pkg_config pkg-config)
  if(pkg_config)
    file(GLOB_RECURSE description ${WORK}/prefix/*/dnn.pc)
    execute_process(COMMAND ${pkg_config} --variable=includedir ${description} OUTPUT_VARIABLE headers
                    OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    if(NOT EXISTS ${headers}/dnn/dnn.h)
      message(FATAL_ERROR "${CASE}: ${description} says that the headers are in ${headers}")
    endif()
  endif()
  configure_and_build(${consumer} ${WORK} -DCMAKE_PREFIX_PATH=${WORK}/prefix)
  if(EXISTS ${WORK}/prefix/bin/dnn-doctor) # a tree without examples has none
    run(${WORK}/prefix/bin/dnn-doctor)
  endif()
endif()
run(${WORK}/consumer)
