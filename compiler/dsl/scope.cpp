#include "compiler/dsl/capture.h"
#include "runtime/base/error.h"

namespace gmc {
namespace {

// The longest path that all parameters of a module share: `h.0.attn`.
std::string path_of(const Part& module) {
  std::string common;
  bool first = true;
  for (const NamedParameter& n : named_parameters(module)) {
    const std::string& name = n.parameter.name();
    const std::string path = name.substr(0, name.rfind('.') == std::string::npos ? 0 : name.rfind('.'));
    if (first) {
      common = path;
      first = false;
      continue;
    }
    const std::string a = common + ".", b = path + ".";
    size_t same = 0;
    for (size_t i = 0; i < a.size() && i < b.size() && a[i] == b[i]; ++i)
      if (a[i] == '.') same = i;
    common.resize(same);
  }
  return common;
}

}  // namespace

struct Scope::Saved {
  dsl::Capture* capture = nullptr;
  std::string scope;
  size_t notes = 0;
  bool pinned_here = false;
};

Scope::Scope(const std::string& path) : saved_(std::make_unique<Saved>()) {
  saved_->capture = dsl::current_or_null();
  if (!saved_->capture) return;
  graph::Graph::Context& context = saved_->capture->graph()->context;
  saved_->scope = std::exchange(context.scope, path);
  saved_->notes = context.notes.size();
}

Scope::Scope(const Part& module) : Scope(path_of(module)) {}

Scope::Scope(const Part& module, const At& at, const std::string& what) : Scope(path_of(module)) {
  if (!saved_->capture) return;
  graph::Graph::Context& context = saved_->capture->graph()->context;
  if (!saved_->capture->pinned) {
    saved_->capture->pinned = dsl::location_of(at.where());
    saved_->pinned_here = true;
  }
  const std::vector<NamedParameter> all = named_parameters(module);
  if (all.empty()) return;
  const std::string name = context.scope.empty() ? "it" : context.scope;
  context.notes.push_back({name + " is " + what + ", made", dsl::location_of(all[0].parameter.data()->made)});
}

Scope::~Scope() {
  if (!saved_->capture || saved_->capture != dsl::current_or_null()) return;
  graph::Graph::Context& context = saved_->capture->graph()->context;
  context.scope = saved_->scope;
  context.notes.resize(saved_->notes);
  if (saved_->pinned_here) saved_->capture->pinned.reset();
}

CalledFrom::CalledFrom(const At& at) : pinned_here_(false) {
  dsl::Capture* capture = dsl::current_or_null();
  if (!capture || capture->pinned) return;
  capture->pinned = dsl::location_of(at.where());
  pinned_here_ = true;
}

CalledFrom::~CalledFrom() {
  if (dsl::Capture* capture = dsl::current_or_null(); capture && pinned_here_) capture->pinned.reset();
}

void fail_at(const At& at, const std::string& message, const std::string& help) {
  dsl::Capture* capture = dsl::current_or_null();
  if (!capture) throw Error(graph::diagnose(dsl::location_of(at.where()), message, {}, help));
  graph::Graph& g = *capture->graph();
  g.context.location = dsl::place_of(at.where());
  g.context.symbol = 0;
  std::vector<graph::Value> operands;
  if (at.tensor().valid() && at.tensor().graph() == capture->graph()) operands.push_back(at.tensor().value());
  throw Error(graph::diagnose(g, message, operands, help));
}

}  // namespace gmc
