#include "runtime/routines/product.h"

#include "runtime/routines/routines.h"

#include <string.h>

namespace gmc::routines {
namespace {

using Micro = void(const float* rows, const float* columns, float* accumulators, int64_t steps, bool first,
                   int64_t row_stride, int64_t column_stride, int64_t acc_stride);
using PackColumns = void(const float* source, float* packed, int64_t first, int64_t last, int64_t k, int64_t whole,
                         int64_t stride);
using PackPanel = void(const float* source, float* packed, int64_t first, int64_t last, int64_t k, int64_t end,
                       int64_t stride, int64_t whole, const int64_t* axes);
using Epilogue = void(const float* accumulators, int64_t stride, int64_t row, int64_t rows, int64_t column,
                      int64_t columns, void* const* buffers, const execute::RunParameters*, int64_t image,
                      int64_t image_rows, int64_t ahead);

int64_t least(int64_t x, int64_t y) { return x < y ? x : y; }
int64_t greatest(int64_t x, int64_t y) { return x > y ? x : y; }

template <class F>
F* function(const execute::RunParameters& run, int64_t i) {
  return i < 0 ? nullptr : reinterpret_cast<F*>(reinterpret_cast<void (*)()>(run.functions[i]));
}

class Tiles {
public:
  Tiles(const Product& p, void* const* buffers, void* scratch, const execute::RunParameters* run)
      : p_(p), buffers_(buffers + p.epilogue_buffer), run_(run), scratch_(static_cast<float*>(scratch)),
        rows_(static_cast<const float*>(buffers[p.rows_buffer]) + p.rows_base),
        columns_(static_cast<const float*>(buffers[p.columns_buffer]) + p.columns_base),
        pack_tile_(function<PackColumns>(*run, p.pack_tile)), pack_panel_(function<PackPanel>(*run, p.pack_panel)),
        epilogue_(function<Epilogue>(*run, p.epilogue)) {
    for (int v = 0; v < 3; ++v)
      for (int r = 0; r < 2; ++r) micro_[v][r] = function<Micro>(*run, p.micro[v][r]);
  }

  void tile(int64_t i) {
    known_ = -1;
    if (p_.batches == 1) return block(i, 0);
    const int64_t grid = p_.grid_rows * p_.grid_columns, some = i / grid;
    for (int64_t batch = p_.tile_batches.start(some); batch < p_.tile_batches.start(some + 1); ++batch)
      block(i % grid, batch);
  }

private:
  // A tile of one product.
  void block(int64_t tile, int64_t batch) {
    // Neighbouring tiles share their columns.
    const int64_t tile_row = tile % p_.grid_rows, tile_column = tile / p_.grid_rows;
    first_block_ = p_.tile_blocks.start(tile_row);
    last_block_ = p_.tile_blocks.start(tile_row + 1);
    const int64_t first_panel = p_.tile_panels.start(tile_column), last_panel = p_.tile_panels.start(tile_column + 1);
    tile_r_ = p_.rows.start(first_block_);
    tile_v_ = p_.vectors.start(first_panel);
    batch_row_ = batch * p_.height;
    find_operands(batch, last_panel);
    for (int64_t kb = 0; kb < p_.k_blocks; ++kb) {
      k_ = p_.k_units.start(kb) * p_.k_unit;
      steps_ = p_.k_units.start(kb + 1) * p_.k_unit - k_;
      first_ = kb == 0;
      last_ = kb == p_.k_blocks - 1;
      if (p_.copied_stride) copy_rows();
      for (int64_t panel = first_panel; panel < last_panel; ++panel) visit(panel);
    }
    if (!p_.swapped) return;
    const int64_t column = tile_v_ * p_.lanes, end = least(p_.vectors.start(last_panel) * p_.lanes, p_.width);
    epilogue_(scratch_, p_.acc_stride, batch_row_ + column, end - column, tile_r_, p_.rows.start(last_block_) - tile_r_,
              buffers_, run_, p_.image, p_.image_rows, p_.ahead);
  }

  void find_operands(int64_t batch, int64_t last_panel) {
    int64_t rows = 0, columns = 0, packing = 0, rest = batch;
    for (int64_t d = p_.axis_count; d-- > 0;) {
      const ProductAxis& axis = p_.axes[d];
      const int64_t index = d ? rest % axis.extent : rest;
      if (d) rest /= axis.extent;
      rows += index * axis.rows;
      columns += index * axis.columns;
      packing += index * axis.packing;
    }
    row_operand_ = rows_ + rows;
    column_operand_ = columns_ + (p_.packing ? packing * p_.packing : columns);
    if (!pack_tile_) return;
    float* own = scratch_ + p_.packed_offset;
    if (packing != known_)
      pack_tile_(column_operand_, own, tile_v_, p_.vectors.start(last_panel), p_.k, p_.width / p_.lanes,
                 p_.packer_stride);
    known_ = packing;
    column_operand_ = own;
  }

  void copy_rows() {
    const float* from = row_operand_ + tile_r_ + k_ * p_.row_k;
    float* to = scratch_ + p_.copied_offset;
    const auto bytes = static_cast<size_t>(p_.rows.start(last_block_) - tile_r_) * sizeof(float);
    for (int64_t k = 0; k < steps_; ++k) memcpy(to + k * p_.copied_stride, from + k * p_.row_k, bytes);
  }

  void visit(int64_t panel) {
    const int64_t v = p_.vectors.start(panel), width = p_.vectors.start(panel + 1) - v;
    const int64_t column = v * p_.lanes, columns = width * p_.lanes;
    const float* column_at = column_operand_;
    if (pack_panel_) {
      float* own = scratch_ + p_.packed_offset;
      pack_panel_(column_operand_, own, v, v + width, k_, k_ + steps_, p_.micro_column_stride, p_.width / p_.lanes,
                  reinterpret_cast<const int64_t*>(&p_) + p_.panel_axes);
      column_at = own;
    } else if (p_.packed) {
      column_at += (pack_tile_ ? v - tile_v_ : v) * p_.lanes * p_.k + k_ * p_.lanes;
    } else {
      column_at += column + k_ * p_.column_k;
    }
    const bool masked = micro_[2][0] && panel == p_.panels - 1;
    Micro* const* micro = micro_[masked ? 2 : panel < p_.vectors.extra ? 1 : 0];
    for (int64_t rb = first_block_; rb < last_block_; ++rb) {
      const int64_t r = p_.rows.start(rb);
      const float* row_at = p_.copied_stride ? scratch_ + p_.copied_offset + (r - tile_r_)
                                             : row_operand_ + r * p_.row_outer + k_ * p_.row_k;
      float* acc = scratch_;
      int64_t stride = columns;
      if (p_.acc_stride) {
        stride = p_.acc_stride;
        acc += (r - tile_r_) * stride + (v - tile_v_) * p_.lanes;
      }
      micro[rb < p_.rows.extra](row_at, column_at, acc, steps_, first_, p_.micro_row_stride, p_.micro_column_stride,
                                stride);
      // Before the last block of k the sums are not complete. Only the last vector can reach past the end.
      if (last_ && !p_.swapped)
        epilogue_(acc, stride, batch_row_ + r, p_.rows.start(rb + 1) - r, column, least(columns, p_.width - column),
                  buffers_, run_, p_.image, p_.image_rows, p_.ahead);
    }
  }

  const Product& p_;
  void* const* buffers_;  // of the epilogue
  const execute::RunParameters* run_;
  float* scratch_;
  const float *rows_, *columns_;
  Micro* micro_[3][2];
  PackColumns* pack_tile_;
  PackPanel* pack_panel_;
  Epilogue* epilogue_;
  int64_t known_ = -1;  // which matrix of columns lies packed in scratch memory
  // Of the tile, and of its block of k.
  const float *row_operand_ = nullptr, *column_operand_ = nullptr;
  int64_t first_block_ = 0, last_block_ = 0, tile_r_ = 0, tile_v_ = 0, batch_row_ = 0;
  int64_t k_ = 0, steps_ = 0;
  bool first_ = false, last_ = false;
};

// Vectors [first, last) of all matrices' together.
void pack(const Packing& p, void* const* buffers, int64_t first, int64_t last, const execute::RunParameters& run) {
  const auto* source = static_cast<const float*>(buffers[p.source_buffer]) + p.source_base;
  auto* packed = static_cast<float*>(buffers[p.packed_buffer]);
  auto* packer = function<PackColumns>(run, p.pack);
  for (int64_t matrix = first / p.vectors; matrix * p.vectors < last; ++matrix) {
    int64_t from = 0, rest = matrix;
    for (int64_t d = p.axis_count; d-- > 0; rest /= p.axes[d].extent)
      from += (d ? rest % p.axes[d].extent : rest) * p.axes[d].stride;
    const int64_t before = matrix * p.vectors, begin = greatest(first - before, 0);
    packer(source + from, packed + (before + begin) * p.lanes * p.k, begin, least(last - before, p.vectors), p.k,
           p.whole, p.stride);
  }
}

}  // namespace
}  // namespace gmc::routines

using namespace gmc::routines;

// Parameters: Product. Then what its numbers of buffers say.
extern "C" void gmc_product(void* const* buffers, uint64_t begin, uint64_t end, void* scratch,
                            const gmc::execute::RunParameters* run) {
  Tiles tiles(*static_cast<const Product*>(buffers[0]), buffers, scratch, run);
  for (uint64_t i = begin; i < end; ++i) tiles.tile(static_cast<int64_t>(i));
}

// Parameters: Packing. Then what its numbers of buffers say.
extern "C" void gmc_pack(void* const* buffers, uint64_t begin, uint64_t end, void*,
                         const gmc::execute::RunParameters* run) {
  const Packing& p = *static_cast<const Packing*>(buffers[0]);
  pack(p, buffers, p.tiles.start(static_cast<int64_t>(begin)), p.tiles.start(static_cast<int64_t>(end)), *run);
}
