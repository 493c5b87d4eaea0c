// The generated f32 matrix product: C[m, n] = epilogue(sum over k of opA(A)[m, k] * opB(B)[k, n]), all row-major; or a
// batch of them, C[batch, m, n].
//
// Sizes are parameters of the routine gmc_product (runtime/routines/product.h), which calls generated functions:
// micro-kernels, packers, the epilogue. An output is one accumulator to which the products are added in ascending k
// with one rounding per step (two where the target has no fused multiply-add), so the bits do not depend on the tiling,
// on the operands' layout or on how tiles are shared among threads.
//
// Structure (Goto, van de Geijn, "Anatomy of high-performance matrix multiplication", ACM TOMS 34(3), 2008, reduced to
// what fits in L2): one operand, the *columns*, is read as vectors, the other, the *rows*, as broadcast scalars; a
// micro-kernel keeps row_block x panel_vectors accumulators in registers over a whole block of k. Normally the columns
// are B's. A `swapped` product computes the transpose of C (vectors run along m) and transposes on the way out; that
// saves the transposition of a large B when A is the smaller operand.
//
// A tile is a block of one matrix product, or a run of whole products of a batch. Columns are packed once for all
// products that share them: by a kernel of its own, or by each tile for itself, product by product, where they stay in
// the cache. Columns that are unfolded (windows of an image, never written out) are packed by each tile, one panel and
// one block of k at a time, right before they are used.
#pragma once

#include "compiler/codegen/leaf.h"
#include "compiler/codegen/llvm_door.h"
#include "compiler/codegen/target.h"

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gmc::codegen {

// opA(A)[m, k] = transpose_a ? A[k * lda + m] : A[m * lda + k], opB(B)[k, n] = transpose_b ? B[n * ldb + k] : B[k * ldb
// + n]. Leading dimensions count floats.
struct GemmBatch {
  int64_t extent, a, b;  // floats from one product's operand to the next one's; 0: they share it
  auto operator<=>(const GemmBatch&) const = default;
};
// An axis as one buffer sees it.
struct GemmAxis {
  int64_t extent, stride;
  auto operator<=>(const GemmAxis&) const = default;
};
// Element [k, n] of B where k and n run along several axes each, the last one fastest: in place of ldb and transpose_b.
struct GemmUnfolded {
  std::vector<GemmAxis> k, n;
  auto operator<=>(const GemmUnfolded&) const = default;
};
struct GemmShape {
  int64_t m = 1, n = 1, k = 1;
  bool transpose_a = false, transpose_b = false;
  int64_t lda = 1, ldb = 1;
  std::vector<GemmBatch> batch = {};  // outermost first
  int64_t base_a = 0, base_b = 0;     // floats from the buffer's begin to the first product's operand
  std::optional<GemmUnfolded> unfolded = {};
  // Columns of one product where n runs over a batch of them, the outermost: product i of `batch` of image j is then
  // product j * batches_of() + i of the outputs. 0: n is one product's. Vectors do not reach over two images.
  int64_t image = 0;
  auto operator<=>(const GemmShape&) const = default;
};
int64_t batches_of(const GemmShape&);
// The same outputs in the same order with fewer and larger products: neighbouring batch axes become one where both
// operands continue, and rows of A that continue from product to product are the rows of one product if they share B.
GemmShape merge_batches(GemmShape);
// The outermost batch axis as an axis of the unfolded columns, where all images share A: small images fill panels.
GemmShape fold_images(GemmShape, const Target&);
// The shape of dense operands; throws `Error` unless all sizes are at least 1.
GemmShape dense_gemm(int64_t m, int64_t n, int64_t k, bool transpose_a, bool transpose_b);

// The free choices; everything else follows from them.
struct GemmChoice {
  bool swapped = false;
  bool packed = false;                      // ignored (true) where the columns are not contiguous
  int row_block = 1;                        // most rows of one micro-kernel
  int panel_vectors = 1;                    // most vectors of one panel
  int64_t k_block = 1;                      // most steps of k between two visits of the accumulators to memory
  int64_t grid_rows = 1, grid_columns = 1;  // parallel tiles; clamped to the number of blocks and panels
  bool copied_rows = false;    // each tile copies its rows to scratch; ignored (false) where they are not contiguous
  bool packs_in_tile = false;  // packed columns lie in each tile's scratch; ignored (false) where nothing is packed
  int64_t grid_batches = 1;    // parallel runs of products; clamped to their number
};

// How one product is cut. Depends on the shape and the target only.
struct GemmTiling : GemmChoice {
  int64_t rows = 1, columns = 1;  // n and m if swapped, otherwise m and n
  int64_t row_blocks = 1, panels = 1, k_blocks = 1;
  int64_t batches = 1;        // products
  int64_t packings = 1;       // different matrices of columns
  bool packs_panels = false;  // each tile packs a panel and a block of k at a time: columns are unfolded
  int64_t pack_tiles = 0;     // tiles of the pack kernel, 0: there is none
  int64_t compute_tiles = 1;  // tiles of the compute kernel
  int64_t packed_bytes = 0;   // columns shared by all tiles, [packing][vector][k][lanes], 64-byte aligned
  int64_t scratch_bytes = 0;  // per worker, 64-byte aligned
};
GemmTiling tile_gemm(const GemmShape&, const Target&, const GemmChoice&);
// The (row_block, panel_vectors) whose accumulators and operands fit the target's registers; row_block ascends.
std::vector<std::pair<int, int>> micro_kernel_sizes(const Target&);
// The choice of a small cost model (cycles of arithmetic, loads, packing), without any timing. Remembered: the stages
// of a compilation ask again and again.
GemmTiling choose_gemm_tiling(const GemmShape&, const Target&);

// Called while code is emitted, for one vector of outputs; has to emit the store itself.
struct GemmEpilogueArgs {
  llvm::IRBuilder<>& builder;         // may create blocks; the code that follows continues where the builder is left
  llvm::IRBuilder<>& entry;           // end of a block that runs once per call: for loads of pointers from `buffers`
  llvm::Value* acc;                   // <lanes x float>
  llvm::Value* row;                   // i64: index of [batch.., m]
  std::vector<llvm::Value*> indices;  // the row's, along the axes that the caller named
  llvm::Value* column;                // i64: index of n of the first lane
  llvm::Value* mask;                  // <lanes x i1>, valid lanes; nullptr: all
  llvm::Value* buffers;               // those of the epilogue
  llvm::Value* run;                   // of the kernel
  llvm::Value* ahead;                 // i64: rows to the block that follows after much arithmetic; nullptr: unknown
};
using GemmEpilogue = std::function<void(const GemmEpilogueArgs&)>;
// Extents of axes into which rows are taken apart, outermost first; the first one is not read. Emitted with `entry`.
using GemmRowExtents = std::function<std::vector<llvm::Value*>(llvm::IRBuilder<>& entry, llvm::Value* buffers)>;

// What the code of an epilogue depends on, besides the caller's part of it.
struct GemmEpilogueForm {
  bool transposed;  // of a swapped product
  bool tail;        // there may be masked vectors
  bool images;      // columns are those of several images
};
GemmEpilogueForm epilogue_form(const GemmShape&, const GemmTiling&, const Target&);
void emit_gemm_epilogue(llvm::Module&, const std::string& symbol, const GemmEpilogueForm&, const Target&,
                        const GemmRowExtents&, const GemmEpilogue&);

// Positions among a kernel's buffers.
struct GemmOperands {
  int a = 0, b = 1;
  int packed = -1;    // only where GemmTiling::pack_tiles
  int epilogue = -1;  // the first one of the epilogue
};

// What a routine of the runtime is given as its parameters, in which functions stand by their number in the program.
struct GemmCall {
  std::vector<int64_t> numbers;
  std::vector<std::pair<size_t, std::string>> functions;  // which numbers are functions
  std::vector<Leaf> leaves;                               // those of them that the product brings
};
// Of gmc_product, over GemmTiling::compute_tiles.
GemmCall gemm_product(const GemmShape&, const GemmTiling&, const Target&, const GemmOperands&,
                      const std::string& epilogue);
// Of gmc_pack, over GemmTiling::pack_tiles: fills `packed`, before any tile of the product starts. Reads stay inside
// the operands to the last byte.
GemmCall gemm_packing(const GemmShape&, const GemmTiling&, const Target&, const GemmOperands&);

}  // namespace gmc::codegen
