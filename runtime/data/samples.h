// Data that are an array of samples.
#pragma once

#include "runtime/data/dataset.h"
#include "runtime/data/prepare.h"

namespace gmc::data {

// What a kind reads or makes: u8 [N, ...], meant as values / 255, or f32 [N, ...].
struct Array {
  HostTensor values;
  std::vector<int64_t> labels;  // N of them, or none
  Truth truth = {};
};

// The first 90 % of N train, the rest validate; both are at least 1. An f32 input takes the samples, in its own shape
// if the numbers of elements agree ([28, 28] as [784]); an i64 input [B] named `labels` takes the labels. Throws
// `Error` for fewer than 2 samples, or samples without elements. `source` names the data.
std::unique_ptr<Dataset> samples_of(Array, const Prepare&, const std::string& source);

}  // namespace gmc::data
