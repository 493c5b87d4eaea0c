// ONNX's own tests as a judge: folders with a model, inputs and the outputs that are expected of them.
#pragma once

#include "runtime/base/tensor.h"
#include "tools/onnx/import.h"

#include <functional>
#include <string>
#include <vector>

namespace gmc::onnx {

// Runs an imported model on inputs by name; gives the outputs by name. Throws `Unsupported` for what the backend cannot
// do.
using Run = std::function<TensorMap(const Imported&, const TensorMap& inputs)>;

struct Verdict {
  enum class Kind { passed, failed, skipped };
  Kind kind = Kind::passed;
  std::string reason;  // why it failed or was skipped: one line
  double worst = 0;    // error in units of what is allowed, of all floating outputs
};

// The folders under `root` that hold a `model.onnx`, relative to it, sorted; `root` itself is `.`.
std::vector<std::string> find_tests(const std::string& root);

// Runs all data sets of a test. Inputs whose values shapes depend on are bound as constants.
Verdict judge(const std::string& folder, const Run&);

// What differs, empty if nothing does. Floating values may differ by atol 1e-7 + rtol |expected|, ONNX's own limits
// (onnx/backend/test/runner 1.23): rtol is 1e-3, of bf16 two units in the last place, 2^-6. NaN equals NaN; all else
// must be equal. `worst` grows to the greatest error in these units.
std::string difference(const HostTensor& expected, const HostTensor& got, double& worst);

}  // namespace gmc::onnx
