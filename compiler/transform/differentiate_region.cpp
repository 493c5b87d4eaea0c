#include "compiler/graph/core_loop.h"
#include "compiler/transform/pull_back.h"
#include "runtime/base/error.h"

#include <algorithm>
#include <map>
#include <optional>

namespace gmc::transform {

using namespace graph;

namespace {

Var zeros(Graph& g, const TensorType& type) { return broadcast_to(constant(g, 0, {type.dtype, {}}), type.shape); }

bool moves(Category c) {
  return c == Category::broadcast || c == Category::reshape || c == Category::transpose || c == Category::affine;
}
bool is_table(Category c) { return c == Category::constant || c == Category::literal || c == Category::index; }

// A scan runs backwards as another scan. In each trip it needs values of the same trip of the forward scan. What only
// moves a value, or depends on nothing that changes from trip to trip, is computed again; everything else is stacked by
// a forward scan that has it as outputs beside those of the original, with which it becomes one scan later
// (merge-loops). Gradients of carries are carries, those of captured values are sums in carries.
class ScanGradient {
public:
  ScanGradient(Graph& g, const Node& node, const std::vector<Var>& operands, const std::vector<Var>& gradients)
      : g_(g), node_(node), operands_(operands), gradients_(gradients), parts_(loop_parts(node)),
        joint_(*node.regions[0]), arguments_(arguments(joint_)), original_(joint_.nodes().size()) {}

  std::vector<Var> run() {
    pull();
    find_forward();
    build_backward();
    return connect();
  }

private:
  bool is_carry(size_t k) const { return k < parts_.carries; }
  bool is_slice(size_t k) const { return !is_carry(k) && k < parts_.carries + parts_.inputs; }

  // Appends the gradient of one trip to the body.
  void pull() {
    joint_.context.scope = "grad";
    joint_.context.location = node_.location;
    std::vector<Var> results, seeds, wrt;
    for (size_t k = 0; k < joint_.outputs().size(); ++k) {
      results.push_back({&joint_, joint_.outputs()[k].value});
      const TensorType type = results.back().type();
      const bool flows = is_float(type.dtype) && (is_carry(k) || gradients_[k].valid());
      seeds.push_back(flows ? argument(joint_, fmt::format("d {}", joint_.outputs()[k].name), type) : Var{});
      if (flows) seeds_.push_back({k, seeds.back().value});
    }
    for (size_t k = 0; k < operands_.size(); ++k) {
      const Var v{&joint_, arguments_[k + 1]};
      if (!is_float(v.type().dtype)) continue;
      wrt.push_back(v);
      wrt_.push_back(k);
    }
    pulled_ = pull_back(joint_, results, seeds, wrt, &reached_);
  }

  // Nodes that belong to the forward pass: those of the body, and loops that the gradient of a loop inside runs again
  // for what they stack. Invariant is what depends on captured values and tables only.
  void find_forward() {
    const auto count = joint_.nodes().size();
    std::vector<bool> seeded(count, false);
    for (const auto& [k, seed] : seeds_) seeded[static_cast<size_t>(seed.node)] = true;
    forward_.assign(count, false);
    std::fill(forward_.begin(), forward_.begin() + static_cast<std::ptrdiff_t>(original_), true);
    invariant_.assign(count, false);
    for (size_t k = parts_.carries + parts_.inputs; k < operands_.size(); ++k)
      invariant_[static_cast<size_t>(arguments_[k + 1].node)] = true;
    for (size_t i = 0; i < count; ++i) {
      const Node& n = joint_.nodes()[i];
      for (Value v : n.inputs)
        if (seeded[static_cast<size_t>(v.node)]) seeded[i] = true;
      if (n.op->category == Category::input || n.op->category == Category::random || !n.regions.empty()) continue;
      invariant_[i] = std::all_of(n.inputs.begin(), n.inputs.end(),
                                  [&](Value v) { return invariant_[static_cast<size_t>(v.node)]; });
    }
    for (size_t i = count; i-- > original_;) {
      if (is_control(joint_.nodes()[i].op->category) && !seeded[i]) forward_[i] = true;
      if (!forward_[i]) continue;
      for (Value v : joint_.nodes()[i].inputs) forward_[static_cast<size_t>(v.node)] = true;
    }
  }
  // The value of the joint graph in the backward region.
  Value backward(Value v) {
    if (auto it = moved_.find(v); it != moved_.end()) return it->second;
    const Node node = joint_.node(v);
    if (!forward_[static_cast<size_t>(v.node)]) fail("'{}' is used before its gradient", node.name);
    const bool again =
        invariant_[static_cast<size_t>(v.node)] || moves(node.op->category) || is_table(node.op->category);
    if (node.op->category != Category::input && again) return moved_[v] = copy(node, v.result);
    return moved_[v] = node.op->category == Category::input ? forward_argument(v) : residual(v);
  }
  Value copy(const Node& node, int32_t result) {
    std::vector<Value> inputs;
    for (Value v : node.inputs) inputs.push_back(backward(v));
    return {back_.copy(node, std::move(inputs)).node, result};
  }
  Value forward_argument(Value v) {
    const size_t at = static_cast<size_t>(std::find(arguments_.begin(), arguments_.end(), v) - arguments_.begin());
    if (at == 0) return index_.value;
    const size_t k = at - 1;
    if (is_carry(k)) return residual(v);
    const Value a = argument(back_, joint_.node(v).text("name"), joint_.type(v)).value;
    (is_slice(k) ? slices_ : captured_).push_back({a, operands_[k]});
    return a;
  }
  Value residual(Value v) {
    residuals_.push_back(v);
    const Value a = argument(back_, fmt::format("residual {}", residuals_.size() - 1), joint_.type(v)).value;
    residual_arguments_.push_back(a);
    return a;
  }

  void build_backward() {
    back_ = Graph("backward");
    index_ = argument(back_, "i", joint_.type(arguments_[0]));
    for (const auto& [k, seed] : seeds_) {
      const Value a = argument(back_, joint_.node(seed).text("name"), joint_.type(seed)).value;
      moved_[seed] = a;
      if (is_carry(k))
        carries_.push_back({a, gradients_[k].valid() ? gradients_[k] : zeros(g_, joint_.type(seed))});
      else
        slices_.push_back({a, gradients_[k]});
    }
    for (size_t i = original_; i < joint_.nodes().size(); ++i) {
      const Node node = joint_.nodes()[i];
      if (forward_[i] || node.op->category == Category::input) continue;
      for (size_t r = 0; r < node.types.size(); ++r) {
        const Value v{static_cast<int32_t>(i), static_cast<int32_t>(r)};
        moved_[v] = r == 0 ? copy(node, 0) : Value{moved_.at({v.node, 0}).node, v.result};
      }
    }
    std::vector<Output> sums, stacks;
    size_t next = 0;
    for (size_t w = 0; w < wrt_.size(); ++w) {
      const size_t k = wrt_[w];
      if (is_carry(k)) {
        back_.add_output({fmt::format("carry {}", next++), backward(pulled_[w].value), false});
        from_[k] = {true, back_.outputs().size() - 1};
      }
    }
    for (size_t w = 0; w < wrt_.size(); ++w) {
      const size_t k = wrt_[w];
      if (is_carry(k) || is_slice(k) || !reached_[w]) continue;
      const Var sum = argument(back_, fmt::format("sum {}", k), operands_[k].type());
      carries_.push_back({sum.value, zeros(g_, operands_[k].type())});
      back_.add_output({fmt::format("sum {}", k), (sum + Var{&back_, backward(pulled_[w].value)}).value, false});
      from_[k] = {true, back_.outputs().size() - 1};
    }
    for (size_t w = 0; w < wrt_.size(); ++w) {
      const size_t k = wrt_[w];
      if (!is_slice(k) || !reached_[w]) continue;
      back_.add_output({fmt::format("slice {}", k), backward(pulled_[w].value), false});
      from_[k] = {true, back_.outputs().size() - 1};
    }
  }

  // The forward scan with the residuals behind the outputs it has.
  std::vector<Var> stack_residuals() {
    if (residuals_.empty()) return {};
    Graph region(node_.regions[0]->entry());
    std::map<Value, Value> map;
    for (size_t i = 0; i < joint_.nodes().size(); ++i) {
      if (!forward_[i]) continue;
      const Node node = joint_.nodes()[i];
      std::vector<Value> inputs;
      for (Value v : node.inputs) inputs.push_back(map.at(v));
      const Value first = region.copy(node, std::move(inputs));
      for (size_t r = 0; r < node.types.size(); ++r)
        map[{static_cast<int32_t>(i), static_cast<int32_t>(r)}] = {first.node, static_cast<int32_t>(r)};
    }
    for (const Output& o : joint_.outputs()) region.add_output({o.name, map.at(o.value), false});
    // A residual may itself be differentiated and stack again: names stay apart.
    const size_t before = region.outputs().size();
    for (size_t r = 0; r < residuals_.size(); ++r)
      region.add_output({fmt::format("residual {}", before + r), map.at(residuals_[r]), false});
    const auto inputs = operands_.begin() + static_cast<std::ptrdiff_t>(parts_.carries),
               captured = inputs + static_cast<std::ptrdiff_t>(parts_.inputs);
    const std::vector<Var> results =
        scan(g_, std::make_shared<const Graph>(std::move(region)), parts_.trips, {operands_.begin(), inputs},
             {inputs, captured}, {captured, operands_.end()}, parts_.reverse);
    return {results.begin() + static_cast<std::ptrdiff_t>(before), results.end()};
  }

  std::vector<Var> connect() {
    const std::vector<Var> residuals = stack_residuals();
    for (size_t r = 0; r < residuals.size(); ++r) slices_.push_back({residual_arguments_[r], residuals[r]});
    std::vector<Value> order{index_.value};
    std::vector<std::vector<Var>> given(3);
    size_t which = 0;
    for (const auto* list : {&carries_, &slices_, &captured_}) {
      for (const auto& [a, operand] : *list) {
        order.push_back(a);
        given[which].push_back(operand);
      }
      ++which;
    }
    std::vector<Var> out(operands_.size());
    if (back_.outputs().empty()) return out;
    const std::vector<Var> results = scan(g_, std::make_shared<const Graph>(with_arguments(back_, order)), parts_.trips,
                                          given[0], given[1], given[2], !parts_.reverse);
    for (const auto& [k, where] : from_) out[k] = results[where.second];
    return out;
  }

  Graph& g_;
  const Node& node_;
  const std::vector<Var>&operands_, &gradients_;
  LoopParts parts_;
  Graph joint_;  // the body, then its gradient
  std::vector<Value> arguments_;
  size_t original_;
  std::vector<std::pair<size_t, Value>> seeds_;  // result, its gradient
  std::vector<size_t> wrt_;                      // operands
  std::vector<Var> pulled_;
  std::vector<bool> reached_, forward_, invariant_;
  Graph back_;
  Var index_;
  std::map<Value, Value> moved_;  // from the joint graph to the backward region
  std::vector<std::pair<Value, Var>> carries_, slices_, captured_;
  std::vector<Value> residuals_, residual_arguments_;
  std::map<size_t, std::pair<bool, size_t>> from_;  // operand -> result of the backward scan
};

}  // namespace

std::vector<Var> pull_back_scan(Graph& g, const Node& node, const std::vector<Var>& operands,
                                const std::vector<Var>& gradients) {
  return ScanGradient(g, node, operands, gradients).run();
}

// Each side runs again, followed by its gradient.
std::vector<Var> pull_back_cond(Graph& g, const Node& node, const std::vector<Var>& operands,
                                const std::vector<Var>& gradients) {
  std::vector<Var> captured(operands.begin() + 1, operands.end());
  const size_t before = captured.size();
  for (const Var& gradient : gradients)
    if (gradient.valid()) captured.push_back(gradient);
  std::vector<Graph> sides;
  sides.reserve(2);
  std::vector<std::vector<Var>> pulled;
  std::vector<bool> reached;
  std::vector<size_t> wrt_of;
  for (const Region& region : node.regions) {
    Graph& side = sides.emplace_back(*region);
    side.context.scope = "grad";
    side.context.location = node.location;
    std::vector<Var> results, seeds, wrt;
    const std::vector<Value> names = arguments(side);
    for (size_t k = 0; k < gradients.size(); ++k) {
      results.push_back({&side, side.outputs()[k].value});
      seeds.push_back(gradients[k].valid() ? argument(side, fmt::format("d {}", k), gradients[k].type()) : Var{});
    }
    wrt_of.clear();
    for (size_t k = 0; k < before; ++k) {
      if (!is_float(side.type(names[k]).dtype)) continue;
      wrt.push_back({&side, names[k]});
      wrt_of.push_back(k);
    }
    std::vector<bool> here;
    pulled.push_back(pull_back(side, results, seeds, wrt, &here));
    reached.resize(here.size(), false);
    for (size_t w = 0; w < here.size(); ++w) reached[w] = reached[w] || here[w];
  }
  std::vector<Region> regions;
  std::vector<size_t> wanted;
  for (size_t w = 0; w < reached.size(); ++w)
    if (reached[w]) wanted.push_back(w);
  std::vector<Var> out(operands.size());
  if (wanted.empty()) return out;
  for (size_t s = 0; s < sides.size(); ++s) {
    std::vector<Output> outputs;
    for (size_t w : wanted) outputs.push_back({fmt::format("gradient {}", wrt_of[w]), pulled[s][w].value, false});
    sides[s].set_outputs(std::move(outputs));
    regions.push_back(std::make_shared<const Graph>(with_arguments(sides[s], arguments(sides[s]))));
  }
  g.context.location = node.location;
  const std::vector<Var> results = cond(operands[0], regions[0], regions[1], captured);
  for (size_t i = 0; i < wanted.size(); ++i) out[wrt_of[wanted[i]] + 1] = results[i];
  return out;
}

}  // namespace gmc::transform
