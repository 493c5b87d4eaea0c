// Artifacts: a compiled program as files that need neither gmc nor LLVM.
#pragma once

#include "compiler/package/compile.h"

#include <string>
#include <vector>

namespace gmc::package {

struct LinkOptions {
  std::string weights;    // bytes of a safetensors file to embed; empty: none
  std::string directory;  // where the runtime archives lie; empty: beside libgmc
  std::string compiler;   // C++ driver that links; empty: $CXX or c++
};

// One executable with a command line, linked statically; it needs nothing but the kernel. Libraries that the plan calls
// make it dynamic.
void link_executable(const Compiled&, const LinkOptions&, const std::string& path);
// One archive: kernels, package, weights and the runtime they need; link it with -lpthread -lm. The header is
// c_header()'s. Only the symbols that the header names are global, so that a program can link several models.
void link_static_library(const Compiled&, const LinkOptions&, const std::string& path);
// One relocatable object: kernels, package and weights, without the runtime.
void link_object(const Compiled&, const LinkOptions&, const std::string& path);

// The folder of libgmc and its archives.
std::string library_directory();

}  // namespace gmc::package
