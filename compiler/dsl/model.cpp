#include "compiler/dsl/model.h"

#include "compiler/dsl/nearest.h"
#include "runtime/base/error.h"

#include <algorithm>

namespace gmc {
namespace {

std::shared_ptr<void> configured(const ModelDefinition& model, const std::string& size, const Overrides& overrides) {
  if (model.sizes.empty()) fail("model '{}' has no sizes", model.name);
  size_t index = 0;
  if (!size.empty()) {
    const auto it = std::find(model.sizes.begin(), model.sizes.end(), size);
    if (it == model.sizes.end()) fail_usage("model '{}': {}", model.name, unknown_name("size", size, model.sizes));
    index = static_cast<size_t>(it - model.sizes.begin());
  }
  std::shared_ptr<void> config = model.configure(index);
  const Fields fields = model.fields(config.get());
  for (const auto& [name, value] : overrides) set_field(fields, name, value);
  return config;
}

}  // namespace

void ModelDefinition::build(Program& program, const std::string& size, const Overrides& overrides) const {
  build_with(program, configured(*this, size, overrides).get());
  if (program.entries().empty()) fail("model '{}' defines no entry", name);
}

Overrides ModelDefinition::values(const std::string& size, const Overrides& overrides) const {
  const std::shared_ptr<void> config = configured(*this, size, overrides);
  Overrides out;
  for (const Field& field : fields(config.get())) out.emplace_back(field.name, value_of(field));
  return out;
}

}  // namespace gmc
