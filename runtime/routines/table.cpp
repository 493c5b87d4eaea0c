#include "runtime/routines/routines.h"

#include <string.h>

namespace gmc::routines {
namespace {

struct Row {
  const char* symbol;
  Routine* routine;
};

constexpr Row rows[] = {{"gmc_cholesky", gmc_cholesky},
                        {"gmc_cumulate", gmc_cumulate},
                        {"gmc_linear_scan", gmc_linear_scan},
                        {"gmc_lu", gmc_lu},
                        {"gmc_pack", gmc_pack},
                        {"gmc_product", gmc_product},
                        {"gmc_qr", gmc_qr},
                        {"gmc_scatter", gmc_scatter},
                        {"gmc_side_by_side", gmc_side_by_side},
                        {"gmc_sort", gmc_sort},
                        {"gmc_triangular_solve", gmc_triangular_solve}};

}  // namespace

Routine* find_routine(const char* symbol) {
  for (const Row& row : rows)
    if (strcmp(row.symbol, symbol) == 0) return row.routine;
  return nullptr;
}

}  // namespace gmc::routines
