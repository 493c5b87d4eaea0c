// Ops that are calls: functions that compiled programs launch as kernels of their own, for what generated loops do not
// express; and those that call generated functions block by block. Programs made by `gmc compile` link those they call.
// C library only.
//
// A routine is an execute::Kernel. Buffer 0 is a block of int64 parameters, whose meaning is written at the function;
// then come the operands and the results, dense and row-major. A dtype among the parameters is gmc::DType as a number.
// Tiles are independent and depend on shapes only, so the bits of a result do not depend on the number of threads.
#pragma once

#include "runtime/execute/package.h"

namespace gmc::routines {

using Routine = void(void* const* buffers, uint64_t begin, uint64_t end, void* scratch,
                     const execute::RunParameters* run);

// The routine of this symbol, or null.
Routine* find_routine(const char* symbol);

}  // namespace gmc::routines

extern "C" gmc::routines::Routine gmc_cholesky, gmc_cumulate, gmc_linear_scan, gmc_lu, gmc_pack, gmc_product, gmc_qr,
    gmc_scatter, gmc_side_by_side, gmc_sort, gmc_triangular_solve;
