// What the files of the generated matrix product share.
#pragma once

#include "compiler/codegen/cpu/gemm.h"

namespace gmc::codegen {

// `total` things in `parts` parts whose sizes differ by at most one: the first `extra` parts have base + 1.
struct Split {
  int64_t total, parts;
  int64_t base() const { return total / parts; }
  int64_t extra() const { return total % parts; }
  int64_t largest() const { return base() + (extra() ? 1 : 0); }
  int64_t start(int64_t i) const { return i * base() + (i < extra() ? i : extra()); }
  int64_t size(int64_t i) const { return base() + (i < extra() ? 1 : 0); }
};

// Element (outer, k) of an operand lies at outer * outer_stride + k * k_stride; outer is a row or a column of the
// tiling.
struct GemmStrides {
  int64_t outer, k;
};
GemmStrides row_strides(const GemmShape&, const GemmChoice&);
GemmStrides column_strides(const GemmShape&, const GemmChoice&);

// The batch axes of the operand whose rows, or columns, the tiling takes.
std::vector<GemmAxis> row_axes(const GemmShape&, const GemmChoice&);
std::vector<GemmAxis> column_axes(const GemmShape&, const GemmChoice&);
// Of the packings, which are as many as there are different matrices of columns.
std::vector<GemmAxis> packing_axes(const GemmShape&, const GemmChoice&);
int64_t packings_of(const GemmShape&, const GemmChoice&);
// The vectors of columns, of all packings, in tiles of the pack kernel.
Split pack_split(const GemmShape&, const GemmTiling&, const Target&);

// Everything derived from a tiling that the emitters ask for.
struct GemmLayout {
  GemmLayout(const GemmShape&, const GemmTiling&, const Target&);
  int64_t lanes;
  Split row_split;        // rows in blocks
  Split vector_split;     // vectors of columns in panels
  Split tile_rows;        // blocks in rows of the grid
  Split tile_columns;     // panels in columns of the grid
  Split tile_batches;     // products in runs
  int64_t k_unit;         // steps of k that unfolded columns pack together
  Split k_split;          // units of k in blocks
  int64_t tail;           // valid columns of the last vector, 0: all
  bool keeps_tile;        // scratch holds the accumulators of a whole tile, not of one micro-kernel
  int64_t acc_stride;     // floats from row to row of the accumulators in scratch if keeps_tile
  int64_t copied_stride;  // floats from k to k + 1 of copied rows in scratch, behind the accumulators; 0: not copied
  int64_t copied_offset;  // floats
  int64_t packed_offset;  // floats: columns packed in the tile lie behind all else
  int64_t packed_k;       // steps of k in a packed vector
  int64_t tile_height;    // rows of the accumulators in scratch, a multiple of lanes if swapped
  int64_t tile_width;     // most vectors of columns in a tile
};

llvm::Function* make_kernel(llvm::Module&, const std::string& symbol);
llvm::Value* emit_buffer(llvm::IRBuilder<>&, llvm::Value* buffers, int index);
// p + offset floats
llvm::Value* float_at(llvm::IRBuilder<>&, llvm::Value* p, llvm::Value* offset);
llvm::Value* float_at(llvm::IRBuilder<>&, llvm::Value* p, int64_t offset);
// A constant <lanes x i1> whose first `count` lanes are set.
llvm::Value* first_lanes(llvm::IRBuilder<>&, int64_t lanes, int64_t count);

// How vectors of unfolded columns are packed.
enum class Unfolding {
  pieces,      // a vector's columns lie next to each other (or every second) in one or a few pieces
  transposed,  // steps of k do
  gathered     // neither
};
struct UnfoldedColumns {
  UnfoldedColumns(const GemmUnfolded&, int64_t lanes);
  Unfolding how;
  int64_t piece;               // columns of a piece
  std::vector<GemmAxis> k, n;  // without axes of extent 1
  int64_t lines = 1;           // the last axis of k that many times is a unit: as many as the axis before has, or one
  int64_t unit() const { return lines * k.back().extent; }  // steps of k that are packed together

private:
  void choose_how(int64_t lanes);
};
// Its packer is void(ptr source, ptr packed, i64 first, i64 last, i64 k, i64 end, i64 stride, i64 whole, ptr axes):
// packs vectors [first, last), of which those below `whole` have all lanes, over steps [k, end), which are whole units,
// to places `stride` floats apart. `axes` are panel_axes().
Leaf unfolded_packer(const GemmShape&, const GemmTiling&, const Target&);
// What it reads: strides, and extents and strides of axes.
std::vector<int64_t> panel_axes(const GemmShape&, const Target&);

// Packs vectors [first, last) of one matrix of columns: void(ptr source, ptr packed, i64 first, i64 last, i64 k, i64
// whole, i64 stride); `packed` is the place of the first of them, those below `whole` have all lanes, `stride` is
// packer_stride().
Leaf column_packer(const GemmShape&, const GemmTiling&, const Target&);
// From step to step of k where columns lie next to each other, from column to column otherwise.
int64_t packer_stride(const GemmShape&, const GemmTiling&);

using EmitBody = std::function<void(llvm::Value* i)>;
// for (i = begin; i < end; i += step) body(i)
void emit_loop(llvm::IRBuilder<>&, llvm::Value* begin, llvm::Value* end, int64_t step, const EmitBody&);

// Reads 4 consecutive floats of each of `lanes` rows and returns 4 vectors: vector j holds element j of every row.
// Only the first `count` elements of each row are touched.
// With a stride of 2 they are every second one.
std::vector<llvm::Value*> emit_transpose_quad(llvm::IRBuilder<>&, const std::vector<llvm::Value*>& rows, int64_t count,
                                              int64_t stride = 1);

// void(ptr rows, ptr columns, ptr accumulators, i64 steps, i1 first, i64 row_stride, i64 column_stride, i64
// acc_stride): accumulators (from memory, or zero if `first`) plus `steps` >= 1 outer products, back to memory. Strides
// count floats; that of the accumulators is from row to row. They are arguments so that few micro-kernels serve all
// products.
struct MicroKernel {
  int64_t rows, vectors;
  bool rows_adjoin;  // rows lie next to each other and row_stride is from k to k + 1; otherwise the other way round
  bool packed;   // steps of k lie next to each other and column_stride is from vector to vector; or the other way round
  int64_t tail;  // lanes to read of the last vector, 0: all
};
Leaf micro_kernel(const MicroKernel&, const Target&);

}  // namespace gmc::codegen
