# Language, warnings and sanitizers: the settings that every target of gmc shares.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(GMC_CCACHE ccache)
if(GMC_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${GMC_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${GMC_CCACHE})
endif()

add_library(gmc_options INTERFACE)
target_include_directories(gmc_options INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/include)
target_compile_options(gmc_options INTERFACE -Wall -Wextra -Wconversion -Wshadow)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(gmc_options INTERFACE -Wno-restrict)  # GCC bug 105329: false on std::string concatenation
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL Clang)
  target_compile_options(gmc_options INTERFACE -Wno-deprecated-declarations)  # libstdc++ 12's own std::stable_sort
endif()
# Locales would be a fifth of a compiled program, and nothing gmc prints depends on them.
target_compile_definitions(gmc_options INTERFACE "FMT_STATIC_THOUSANDS_SEPARATOR=','")
if(GMC_WERROR)
  target_compile_options(gmc_options INTERFACE -Werror)
endif()
if(GMC_SANITIZE)
  add_compile_options(-fsanitize=${GMC_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    add_compile_options(-Wno-maybe-uninitialized)  # false on <regex> and others once GCC instruments them
  endif()
  add_link_options(-fsanitize=${GMC_SANITIZE})
endif()
if(GMC_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)  # counts what was reached; the fuzz targets link libFuzzer
endif()

# gmc_sources(VAR DIR...): the .cpp files of folders, found again whenever one is added.
function(gmc_sources var)
  set(found)
  foreach(dir ${ARGN})
    file(GLOB files CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${dir}/*.cpp)
    list(APPEND found ${files})
  endforeach()
  set(${var} ${found} PARENT_SCOPE)
endfunction()
