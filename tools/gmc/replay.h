// Replays a parity case on one backend.
#pragma once

#include "runtime/base/tensor.h"
#include "tools/gmc/command.h"
#include "tools/gmc/judge.h"

#include <memory>
#include <string>
#include <vector>

namespace gmc::tool {

// Runs entries of a program whose draws are inputs; holds its state between calls.
class Backend {
public:
  virtual ~Backend() = default;
  virtual void set_state(const TensorMap&) = 0;
  virtual TensorMap state() const = 0;
  // Outputs by name; updates go to the state.
  virtual TensorMap run(const std::string& entry, const TensorMap& inputs) = 0;
};

// interp: the f64 interpreter, outputs and state kept in f64. jit: this process. aot: a linked executable, a process a
// call.
std::unique_ptr<Backend> make_backend(const std::string& kind, const package::Source&, const package::Options&,
                                      const RunOptions&);

// Steps, gradients of the first step, weights after, samples: of the case's inputs.
struct CaseInputs {
  TensorMap initial;
  std::vector<TensorMap> batches;
  TensorMap draw;
  std::vector<std::string> weights;  // names that the case judges
};
Outcome replay(Backend&, const Entry& step, const CaseInputs&);

}  // namespace gmc::tool
