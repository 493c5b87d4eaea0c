// What becomes of the outputs of an entry.
#pragma once

#include "runtime/artifact/arguments.h"
#include "runtime/base/tensor.h"
#include "runtime/execute/package.h"

namespace gmc::artifact {

// Gathers the outputs of several calls. Scalars are printed; tensors go where `--output` says: .png, .npy, .txt or `-`.
class Results {
public:
  // Throws `Error` (usage) if `--output` names what is not there, or a kind of file that cannot be written.
  Results(const execute::Package*, const execute::Entry&, const Arguments&);

  // `rows`: of all calls together; 0: only the last call counts.
  void begin(uint64_t calls, uint64_t rows);
  // Where call number `call` writes its outputs.
  void* const* pointers(uint64_t call);
  // Prints scalars of a training run now and then.
  void end_call(uint64_t call);
  // Writes and prints what is asked for.
  void finish();

private:
  struct Output {
    const execute::Tensor* tensor;
    std::string name, path;  // no path: not asked for
    HostTensor values;       // of all rows, or of one call
    double sum = 0;          // of a scalar, over the calls
    bool in_rows = false;
  };

  std::string scalars(uint64_t divisor) const;

  std::vector<Output> outputs_;
  std::vector<void*> pointers_;
  std::string entry_;
  double low_ = 0, high_ = 1;
  uint64_t calls_ = 1, rows_ = 0;
};

// Images of rows: [N, H, W] and [N, C, H, W] as they are, [N, h * h] and [N, 3 * h * h] as squares. Throws `Error` for
// other shapes.
HostTensor as_images(HostTensor, const std::string& name);
// One row a line, numbers separated by spaces.
std::string as_text(const HostTensor&);

}  // namespace gmc::artifact
