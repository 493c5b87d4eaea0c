#include "compiler/codegen/cpu/gemm_parts.h"
#include "runtime/base/error.h"
#include "runtime/routines/product.h"

#include <cstddef>
#include <cstring>

namespace gmc::codegen {
namespace {

using routines::Product;

routines::Cut cut_of(const Split& split) { return {split.base(), split.extra()}; }

class Builder {
public:
  Builder(const GemmShape& shape, const GemmTiling& tiling, const Target& target, const GemmOperands& operands)
      : shape_(shape), tiling_(tiling), target_(target), layout_(shape, tiling, target) {
    for (auto& of_vectors : p_.micro)
      for (int64_t& f : of_vectors) f = -1;
    p_.pack_tile = p_.pack_panel = p_.epilogue = -1;
    find_operands(operands);
    cut();
    place_in_scratch();
    find_axes();
    choose_micro_kernels();
    if (tiling.packs_in_tile) call(&p_.pack_tile, column_packer(shape, tiling, target));
    if (tiling.packs_panels) {
      call(&p_.pack_panel, unfolded_packer(shape, tiling, target));
      panel_axes_ = panel_axes(shape, target);
    }
  }

  GemmCall finish(const std::string& epilogue) {
    out_.functions.emplace_back(position(&p_.epilogue), epilogue);
    const auto used = offsetof(Product, axes) / 8 + static_cast<size_t>(p_.axis_count) * (sizeof(p_.axes[0]) / 8);
    p_.panel_axes = static_cast<int64_t>(used);
    out_.numbers.resize(used);
    std::memcpy(out_.numbers.data(), &p_, used * 8);
    out_.numbers.insert(out_.numbers.end(), panel_axes_.begin(), panel_axes_.end());
    return std::move(out_);
  }

private:
  size_t position(const int64_t* field) const {
    return static_cast<size_t>(field - reinterpret_cast<const int64_t*>(&p_));
  }
  void call(const int64_t* field, Leaf leaf) {
    out_.functions.emplace_back(position(field), leaf.symbol);
    out_.leaves.push_back(std::move(leaf));
  }

  void find_operands(const GemmOperands& operands) {
    const bool swapped = tiling_.swapped;
    p_.rows_buffer = swapped ? operands.b : operands.a;
    p_.rows_base = swapped ? shape_.base_b : shape_.base_a;
    p_.columns_buffer = tiling_.pack_tiles ? operands.packed : swapped ? operands.a : operands.b;
    p_.columns_base = tiling_.pack_tiles ? 0 : swapped ? shape_.base_a : shape_.base_b;
    p_.epilogue_buffer = operands.epilogue;
    const GemmStrides rows = row_strides(shape_, tiling_), columns = column_strides(shape_, tiling_);
    p_.row_outer = rows.outer;
    p_.row_k = rows.k;
    p_.column_k = columns.k;
    p_.packer_stride = packer_stride(shape_, tiling_);
  }

  void cut() {
    p_.rows = cut_of(layout_.row_split);
    p_.vectors = cut_of(layout_.vector_split);
    p_.k_units = cut_of(layout_.k_split);
    p_.tile_blocks = cut_of(layout_.tile_rows);
    p_.tile_panels = cut_of(layout_.tile_columns);
    p_.tile_batches = cut_of(layout_.tile_batches);
    p_.grid_rows = tiling_.grid_rows;
    p_.grid_columns = tiling_.grid_columns;
    p_.batches = tiling_.batches;
    p_.panels = layout_.vector_split.parts;
    p_.k_blocks = tiling_.k_blocks;
    p_.k = shape_.k;
    p_.k_unit = layout_.k_unit;
    p_.lanes = layout_.lanes;
    p_.height = shape_.m;
    p_.width = tiling_.columns;
    p_.packed = tiling_.packed;
    p_.swapped = tiling_.swapped;
    p_.image = shape_.image;
    p_.image_rows = batches_of(shape_) * shape_.m;
    p_.ahead = layout_.row_split.largest();
  }

  void place_in_scratch() {
    p_.acc_stride = layout_.keeps_tile ? layout_.acc_stride : 0;
    p_.copied_stride = tiling_.copied_rows ? layout_.copied_stride : 0;
    p_.copied_offset = layout_.copied_offset;
    p_.packed_offset = layout_.packed_offset;
    p_.packing = tiling_.pack_tiles ? layout_.vector_split.total * layout_.lanes * shape_.k : 0;
  }

  void find_axes() {
    const auto rows = row_axes(shape_, tiling_), columns = column_axes(shape_, tiling_),
               packings = packing_axes(shape_, tiling_);
    if (rows.size() > std::size(p_.axes))
      fail("a product has {} batch axes, more than {}", rows.size(), std::size(p_.axes));
    p_.axis_count = static_cast<int64_t>(rows.size());
    for (size_t d = 0; d < rows.size(); ++d)
      p_.axes[d] = {rows[d].extent, rows[d].stride, columns[d].stride, packings[d].stride};
  }

  // Of base and base + 1 rows, times base, base + 1 and masked vectors.
  void choose_micro_kernels() {
    const Split &rows = layout_.row_split, &vectors = layout_.vector_split;
    // The last panel has the masked vector; packed panels are padded instead.
    const bool masked = layout_.tail && !tiling_.packed;
    const GemmStrides row = tiling_.copied_rows ? GemmStrides{1, layout_.copied_stride} : row_strides(shape_, tiling_);
    p_.micro_row_stride = row.outer == 1 ? row.k : row.outer;
    p_.micro_column_stride = tiling_.packed ? layout_.lanes * layout_.packed_k : column_strides(shape_, tiling_).k;
    for (int v = 0; v < 3; ++v) {
      if (v == 0 && vectors.extra() + (masked ? 1 : 0) == vectors.parts) continue;
      if (v == 1 && !vectors.extra()) continue;
      if (v == 2 && !masked) continue;
      for (int r = 0; r < 2; ++r) {
        if (r == 1 && !rows.extra()) continue;
        MicroKernel kernel{};
        kernel.rows = rows.base() + r;
        kernel.vectors = vectors.base() + (v == 1 ? 1 : 0);
        kernel.rows_adjoin = row.outer == 1;
        kernel.packed = tiling_.packed;
        kernel.tail = v == 2 ? layout_.tail : 0;
        call(&p_.micro[v][r], micro_kernel(kernel, target_));
      }
    }
  }

  const GemmShape& shape_;
  const GemmTiling& tiling_;
  const Target& target_;
  const GemmLayout layout_;
  Product p_{};
  std::vector<int64_t> panel_axes_;
  GemmCall out_;
};

}  // namespace

GemmCall gemm_product(const GemmShape& shape, const GemmTiling& tiling, const Target& target,
                      const GemmOperands& operands, const std::string& epilogue) {
  return Builder(shape, tiling, target, operands).finish(epilogue);
}

}  // namespace gmc::codegen
