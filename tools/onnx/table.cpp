#include "tools/onnx/call.h"

#include <map>
#include <string_view>

namespace gmc::onnx {
namespace {

using Table = std::map<std::string_view, Handler>;

Table table_of(const std::vector<std::span<const Row>>& families) {
  Table out;
  for (const auto rows : families)
    for (const Row& row : rows) out.emplace(row.op, row.handler);
  return out;
}

}  // namespace

Handler handler_of(const std::string& domain, const std::string& op) {
  static const Table own =
      table_of({elementwise_rows(), movement_rows(), reduction_rows(), nn_rows(), norm_rows(), resample_rows(),
                rnn_rows(), control_rows(), quantize_rows(), einsum_rows(), search_rows(), signal_rows(), grid_rows()});
  static const Table training = table_of({train_rows()});
  const Table* table = domain.empty() ? &own : domain == "ai.onnx.preview.training" ? &training : nullptr;
  if (!table) return nullptr;
  const auto it = table->find(op);
  return it == table->end() ? nullptr : it->second;
}

}  // namespace gmc::onnx
