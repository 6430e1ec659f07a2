# Fails when there is an nvcc on this machine and LIBRARY holds no symbol of the namespace dnn::cuda.
find_program(nvcc nvcc PATHS /usr/local/cuda/bin)
if(nvcc)
  file(STRINGS ${LIBRARY} symbols REGEX "_ZN3dnn4cuda" LIMIT_COUNT 1)
  if(NOT symbols)
    message(FATAL_ERROR "${nvcc} is there, but ${LIBRARY} was built without the GPU backend")
  endif()
endif()
