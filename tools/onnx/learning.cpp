// The tensor operators of ai.onnx.ml.
#include "tools/onnx/build.h"

namespace gmc::onnx {
namespace {

// 1 where x is greater than the threshold, 0 elsewhere.
std::vector<Value> binarize(Call& c) {
  const Var x = c[0];
  return one(graph::cast(graph::less(number_like(x, c.number("threshold", 0)), x), x.type().dtype));
}

// Elements of the last dimension, whatever the shape of the indices; those of a vector as one row.
std::vector<Value> extract(Call& c) {
  if (c.rank(0) < 1) fail("expected at least one dimension, got {}", to_string(c[0].shape()));
  const int64_t count = element_count(c[1].shape());
  const Var taken = take(c[0], graph::reshape(c[1], {count}), c.rank(0) - 1);
  return one(with_rank(taken, std::max<int64_t>(c.rank(0), 2)));
}

constexpr Row rows[] = {
    {"ArrayFeatureExtractor", extract},
    {"Binarizer", binarize},
};

}  // namespace

std::span<const Row> learning_rows() { return rows; }

}  // namespace gmc::onnx
