#include "compiler/dsl/module.h"

#include "runtime/base/error.h"

#include <set>

namespace gmc {

const char* name_of(StateKind kind) {
  if (kind == StateKind::parameter) return "parameter";
  return kind == StateKind::buffer ? "buffer" : "optimizer";
}

Parameter::Parameter(Shape shape, Initialiser initialiser, StateKind kind, std::source_location made)
    : data_(std::make_shared<ParameterData>()) {
  data_->shape = std::move(shape);
  data_->initialiser = initialiser;
  data_->kind = kind;
  data_->made = made;
}

Parts name_parts(const char* names, std::initializer_list<Part> parts) {
  Parts out(parts);
  const char* at = names;
  for (Part& part : out) {
    while (*at == ' ' || *at == ',') ++at;
    while (*at != '\0' && *at != ',' && *at != ' ') part.name += *at++;
  }
  return out;
}

namespace {

void collect(const Part& part, const std::string& path, std::set<std::shared_ptr<ParameterData>>& seen,
             std::vector<NamedParameter>& out) {
  if (part.parameter.valid() && seen.insert(part.parameter.data()).second) out.push_back({path, part.parameter});
  for (const Part& child : part.parts) collect(child, path.empty() ? child.name : path + "." + child.name, seen, out);
}

}  // namespace

std::vector<NamedParameter> named_parameters(const Part& part) {
  std::set<std::shared_ptr<ParameterData>> seen;  // only asked for membership
  std::vector<NamedParameter> out;
  collect(part, part.name, seen, out);
  return out;
}

std::vector<Parameter> parameters(const Part& module) { return parameters({module}); }

std::vector<Parameter> parameters(std::initializer_list<Part> modules) {
  std::set<std::shared_ptr<ParameterData>> seen;
  std::vector<NamedParameter> all;
  for (const Part& part : modules) collect(part, part.name, seen, all);
  std::vector<Parameter> out;
  for (const NamedParameter& n : all)
    if (n.parameter.kind() == StateKind::parameter) out.push_back(n.parameter);
  return out;
}

}  // namespace gmc
