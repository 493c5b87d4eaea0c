#include "compiler/codegen/cpu/gemm_parts.h"

#include <algorithm>

namespace gmc::codegen {

int64_t batches_of(const GemmShape& s) {
  int64_t count = 1;
  for (const GemmBatch& axis : s.batch) count *= axis.extent;
  return count;
}

GemmShape merge_batches(GemmShape s) {
  // Rows are the innermost axis: A goes on by a row, B stays.
  std::vector<GemmBatch> axes = s.batch;
  axes.push_back({s.m, s.transpose_a ? 1 : s.lda, 0});
  std::erase_if(axes, [](const GemmBatch& axis) { return axis.extent == 1; });
  std::vector<GemmBatch> merged;
  for (const GemmBatch& axis : axes) {
    if (!merged.empty() && merged.back().a == axis.extent * axis.a && merged.back().b == axis.extent * axis.b)
      merged.back() = {merged.back().extent * axis.extent, axis.a, axis.b};
    else
      merged.push_back(axis);
  }
  s.m = 1;
  // Where there was one row a product, those of the last axis can be the rows.
  const auto are_rows = [&](const GemmBatch& axis) {
    return axis.b == 0 && (s.transpose_a ? axis.a == 1 : axis.a >= std::min(s.k, s.lda));
  };
  if (!merged.empty() && are_rows(merged.back())) {
    s.m = merged.back().extent;
    if (!s.transpose_a) s.lda = merged.back().a;
    merged.pop_back();
  }
  s.batch = merged;
  return s;
}

GemmShape fold_images(GemmShape s, const Target& target) {
  if (!s.unfolded || s.batch.empty() || s.n % target.lanes != 0) return s;
  const GemmBatch images = s.batch.front();
  if (images.a != 0 || images.b == 0) return s;
  s.unfolded->n.insert(s.unfolded->n.begin(), {images.extent, images.b});
  s.image = s.n;
  s.n *= images.extent;
  s.batch.erase(s.batch.begin());
  return s;
}

std::vector<GemmAxis> row_axes(const GemmShape& s, const GemmChoice& t) {
  std::vector<GemmAxis> axes;
  for (const GemmBatch& axis : s.batch) axes.push_back({axis.extent, t.swapped ? axis.b : axis.a});
  return axes;
}

std::vector<GemmAxis> column_axes(const GemmShape& s, const GemmChoice& t) {
  std::vector<GemmAxis> axes;
  for (const GemmBatch& axis : s.batch) axes.push_back({axis.extent, t.swapped ? axis.a : axis.b});
  return axes;
}

std::vector<GemmAxis> packing_axes(const GemmShape& s, const GemmChoice& t) {
  std::vector<GemmAxis> axes = column_axes(s, t);
  int64_t step = 1;
  for (size_t i = axes.size(); i-- > 0;) {
    if (axes[i].stride == 0) continue;
    axes[i].stride = step;
    step *= axes[i].extent;
  }
  return axes;
}

int64_t packings_of(const GemmShape& s, const GemmChoice& t) {
  int64_t count = 1;
  for (const GemmAxis& axis : column_axes(s, t)) count *= axis.stride ? axis.extent : 1;
  return count;
}

}  // namespace gmc::codegen
