// Results to files: .png, .npy, .txt.
#pragma once

#include "compiler/package/session.h"
#include "runtime/base/tensor.h"
#include "runtime/data/vocabulary.h"

#include <string>

namespace gmc::tool {

// How values are shown.
struct View {
  double low = 0, high = 1;                      // black and white of pixels
  const data::Vocabulary* vocabulary = nullptr;  // of numbers that are symbols
};

// Throws `Error` (usage) unless the name ends in .png, .npy or .txt.
void check_result_file(const std::string& path);
// .png: rows of length h * h or 3 * h * h, [N, h, w] or [N, c, h, w]; rows of length 2 as points in a plane. .txt: one
// row a line, as symbols if there is a vocabulary.
void write_result(const std::string& path, const HostTensor&, const View& = {});
// The ending that suits: .png for images and points, .txt for symbols, else .npy.
std::string suitable_ending(const HostTensor&);
// The bytes of that .png.
std::vector<std::byte> picture_of(const HostTensor&, const View&);
// The text of that .txt.
std::string text_of(const HostTensor&, const View&);

// ceil(count / batch) calls of an entry without inputs, with step = number of the call, counted from `first`; the first
// `count` rows.
// What an entry gives that samples: throws `Error` if it has inputs, or not one output with a batch dimension.
graph::TensorType sample_type(const package::Session&, const std::string& entry);
HostTensor sample(package::Session&, const std::string& entry, int64_t count, uint64_t seed, int64_t first = 0);

}  // namespace gmc::tool
