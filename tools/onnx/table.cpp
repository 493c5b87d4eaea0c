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
                rnn_rows(), control_rows(), quantize_rows(), einsum_rows(), search_rows(), signal_rows(), grid_rows(),
                deform_rows(), attention_rows(), state_rows(), constant_rows(), index_rows()});
  static const Table training = table_of({train_rows()}), preview = table_of({preview_rows()}),
                     learning = table_of({learning_rows()});
  const auto table = [&]() -> const Table* {
    if (domain.empty()) return &own;
    if (domain == "ai.onnx.preview.training") return &training;
    if (domain == "ai.onnx.preview") return &preview;
    return domain == "ai.onnx.ml" ? &learning : nullptr;
  }();
  if (!table) return nullptr;
  const auto it = table->find(op);
  return it == table->end() ? nullptr : it->second;
}

}  // namespace gmc::onnx
