#include "tools/onnx/call.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string_view>

namespace gmc::onnx {

Handler handler_of(const std::string& domain, const std::string& op) {
  static const std::map<std::string_view, Handler> all = [] {
    std::map<std::string_view, Handler> out;
    for (const auto rows : {elementwise_rows(), movement_rows(), reduction_rows(), nn_rows()})
      for (const Row& row : rows) out.emplace(row.op, row.handler);
    return out;
  }();
  if (!domain.empty()) return nullptr;
  const auto it = all.find(op);
  return it == all.end() ? nullptr : it->second;
}

}  // namespace gmc::onnx
