// gmc verify --onnx: ONNX's own tests, scored.
#pragma once

#include "tools/gmc/command.h"

namespace gmc::tool {

struct OnnxTests {
  std::string root;     // a tree of folders with model.onnx and test_data_set_*
  std::string backend;  // interp or jit
  bool verbose = false;
};

// Prints a line for each test that failed or was skipped, and the score; true if none failed.
bool verify_onnx(const OnnxTests&, const CompileOptions&, const RunOptions&);

}  // namespace gmc::tool
