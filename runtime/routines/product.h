// The parameters of gmc_product and gmc_pack: a matrix product, or a batch of them, that generated functions compute
// block by block, and what packs its columns before (compiler/codegen/cpu/gemm.h says what for).
#pragma once

#include <stdint.h>

namespace gmc::routines {

// Things in parts whose sizes differ by at most one: the first `extra` have base + 1.
struct Cut {
  int64_t base, extra;
  int64_t start(int64_t i) const { return i * base + (i < extra ? i : extra); }
};

// Floats from one product of a batch to the next along an axis.
struct ProductAxis {
  int64_t extent, rows, columns;
  int64_t packing;  // 1: from one packed matrix of columns to the next; 0: they share it
};

struct Product {
  // Functions, by number; -1: there is none.
  int64_t micro[3][2];  // base vectors, one more, masked; base rows, one more
  int64_t pack_tile;    // packs the columns of a tile into its scratch memory
  int64_t pack_panel;   // packs a panel and a block of k there
  int64_t epilogue;

  int64_t rows_buffer, columns_buffer, epilogue_buffer;  // among the buffers: the last is the first of its own
  int64_t rows_base, columns_base;                       // floats from a buffer's begin to the first product's operand
  Cut rows, vectors, k_units;                            // in blocks, panels and blocks of k
  Cut tile_blocks, tile_panels, tile_batches;            // blocks, panels and products in tiles
  int64_t grid_rows, grid_columns, batches, panels, k_blocks;
  int64_t k, k_unit, lanes;
  int64_t height;                      // rows of the output that one product has
  int64_t width;                       // columns of the tiling, all that are valid
  int64_t row_outer, row_k, column_k;  // strides of the operands where they are not packed or copied
  int64_t packer_stride;               // of the columns, for pack_tile
  int64_t panel_axes;                  // where among these numbers those stand that pack_panel reads: behind `axes`
  int64_t micro_row_stride, micro_column_stride;
  int64_t packed, swapped;               // whether columns are packed, the transpose of the output is computed
  int64_t acc_stride;                    // floats; 0: scratch holds one block of accumulators, not a tile's
  int64_t copied_stride;                 // floats; 0: rows are not copied
  int64_t copied_offset, packed_offset;  // floats into scratch memory
  int64_t packing;                       // floats of a packed matrix of columns
  int64_t image, image_rows;             // columns of an image and rows of the output between two; 0: no images
  int64_t ahead;                         // rows to the block that follows
  int64_t axis_count;
  ProductAxis axes[8];
};

// All columns, before any tile of the product.
struct Packing {
  int64_t pack;  // the function, by number
  int64_t source_buffer, packed_buffer, source_base;
  Cut tiles;        // of vectors of columns
  int64_t vectors;  // of one matrix
  int64_t lanes, k;
  int64_t whole;   // vectors of a matrix that have all lanes
  int64_t stride;  // from step to step of k where columns lie next to each other, from column to column otherwise
  int64_t axis_count;
  struct {
    int64_t extent, stride;
  } axes[8];  // from matrix to matrix
};

}  // namespace gmc::routines
