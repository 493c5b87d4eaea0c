#include "runtime/routines/routines.h"

#include <string.h>

namespace gmc::routines {
namespace {

struct Row {
  const char* symbol;
  Routine* routine;
};

constexpr Row rows[] = {{"gmc_scatter", gmc_scatter}};

}  // namespace

Routine* find_routine(const char* symbol) {
  for (const Row& row : rows)
    if (strcmp(row.symbol, symbol) == 0) return row.routine;
  return nullptr;
}

}  // namespace gmc::routines
