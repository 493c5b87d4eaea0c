// What training reads: `--data KIND:PATH`.
#pragma once

#include "runtime/base/tensor.h"

#include <string>
#include <vector>

namespace gmc::files {

struct Dataset {
  std::string kind;
  HostTensor images;        // f32 [N, ...], N at least 2; images are in [0, 1]
  int64_t train_count = 0;  // the first 90 % of N train, the rest validate; both are at least 1
};

struct DatasetKind {
  std::string name;
  std::string help;  // one line
};

// The kinds that `load_dataset` knows, in the order in which help prints them.
std::vector<DatasetKind> dataset_kinds();

// mnist:DIR    t10k-images-idx3-ubyte or else train-images-idx3-ubyte of DIR, plain or .gz; DIR may be such a file
// npy:FILE     u8 [N, ...], divided by 255, or f32 or f64 [N, ...], as it is: finite, and in [0, 1] from rank 3 on
// glyphs[:N]   N (10,000 if not given) drawn digits (glyphs.h), made on the spot
// Throws `Error`, as a mistake of usage for an unknown kind and a missing or superfluous path.
Dataset load_dataset(const std::string& spec);

// Fills `out` with a batch of shape `batch` = [B, ...]: sample b is drawn uniformly with replacement from the training
// or the validating part, by word b of the random stream (seed, "data/train" or "data/validate", step) of
// runtime/execute/random.h. A sample takes the shape of the batch if the numbers of elements agree ([28, 28] as [784]).
// Throws `Error` naming both shapes if they do not.
void draw_batch(const Dataset& data, bool validate, uint64_t seed, uint64_t step, const Shape& batch, float* out);

}  // namespace gmc::files
