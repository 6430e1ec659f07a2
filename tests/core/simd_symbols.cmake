# Looks for functions that avx*.cpp emit and that the linker might keep for the whole program: weak ones outside of their
# own namespace. A machine without AVX2 or AVX-512 would crash in them.
#   cmake -DNM=<nm> -DOBJECTS=<object>|<object>... -P simd_symbols.cmake
string(REPLACE "|" ";" objects "${OBJECTS}")
execute_process(COMMAND ${NM} --defined-only ${objects} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+" symbols "${symbols}")
list(FILTER symbols INCLUDE REGEX " W ")
list(LENGTH symbols count)
list(FILTER symbols EXCLUDE REGEX "3dnn3cpu(4avx2|6avx512)")
if(symbols)
  list(JOIN symbols "\n" lines)
  message(FATAL_ERROR "these functions of other files would be compiled for AVX2 or AVX-512:\n${lines}")
endif()
if(count EQUAL 0)
  message(FATAL_ERROR "no weak function at all, are these the right objects? (${OBJECTS})")
endif()
