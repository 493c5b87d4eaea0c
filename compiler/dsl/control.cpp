#include "compiler/dsl/control.h"

#include "compiler/dsl/capture.h"
#include "compiler/graph/core_loop.h"
#include "runtime/base/error.h"

#include <algorithm>

namespace gmc::dsl {

using graph::diagnose;
using graph::Location;
using graph::TensorType;
using graph::Value;
using graph::Var;

namespace {

TensorType type_of(const Tensor& t) { return t.graph()->type(t.value()); }

struct Argument {
  std::string name;
  TensorType type;
};

// Regions of one node: their arguments are the given ones and, of all alike, what any of them uses from around.
class Regions {
public:
  Regions(Capture& capture, std::string what, Location at)
      : capture_(capture), what_(std::move(what)), at_(std::move(at)) {}

  // Returns what `body` returned, as values of the region.
  Tensors add(const std::string& name, const std::vector<Argument>& given, const Body& body) {
    capture_.enter(what_, name);
    graph::Graph& g = *capture_.graph();
    Tensors arguments, results;
    for (const Argument& a : given) {
      g.context.location = at_;
      arguments.push_back({capture_.graph(), graph::argument(g, a.name, a.type).value});
    }
    given_ = given.size();
    for (const Tensor& t : body(arguments)) results.push_back(capture_.adopt(t, what_, at_));
    frames_.push_back(capture_.leave());
    return results;
  }
  void output(size_t region, const std::string& name, const Tensor& t) {
    outputs_.resize(frames_.size());
    outputs_[region].push_back({name, t.value(), false});
  }

  // What the regions use from around; their graphs get the arguments for it that they lack.
  std::vector<Var> captured(graph::Graph& around) {
    std::vector<Value> all;
    for (const Capture::Frame& f : frames_)
      for (const auto& [outside, inside] : f.captured)
        if (std::find(all.begin(), all.end(), outside) == all.end()) all.push_back(outside);
    std::vector<Var> out;
    for (Value v : all) out.push_back({&around, v});
    outputs_.resize(frames_.size());
    for (size_t r = 0; r < frames_.size(); ++r) {
      const Capture::Frame& f = frames_[r];
      graph::Graph region = *f.graph;
      region.set_outputs(outputs_[r]);
      std::vector<Value> order = graph::arguments(region);
      order.resize(given_);
      for (Value v : all) {
        const auto own =
            std::find_if(f.captured.begin(), f.captured.end(), [&](const auto& pair) { return pair.first == v; });
        order.push_back(own != f.captured.end() ? own->second
                                                : graph::argument(region, around.node(v).name, around.type(v)).value);
      }
      graph::Graph ordered = with_arguments(region, order);
      ordered.context = {};
      graphs_.push_back(std::make_shared<const graph::Graph>(std::move(ordered)));
    }
    return out;
  }
  const graph::Region& graph(size_t region) const { return graphs_[region]; }

private:
  Capture& capture_;
  std::string what_;
  Location at_;
  size_t given_ = 0;
  std::vector<Capture::Frame> frames_;
  std::vector<std::vector<graph::Output>> outputs_;
  std::vector<graph::Region> graphs_;
};

std::vector<Argument> loop_arguments(const Tensors& carries) {
  std::vector<Argument> out{{"i", {i64, {}}}};
  for (const Tensor& t : carries) out.push_back({fmt::format("carry {}", out.size() - 1), type_of(t)});
  return out;
}

std::vector<Var> vars(Capture& capture, const Tensors& tensors) {
  std::vector<Var> out;
  for (const Tensor& t : tensors) out.push_back({capture.graph().get(), t.value()});
  return out;
}

Tensors tensors(Capture& capture, const std::vector<Var>& results) {
  Tensors out;
  for (const Var& v : results) out.push_back({capture.graph(), v.value});
  return out;
}

Tensors adopted(Capture& capture, const Tensors& given, const std::string& what, const Location& at) {
  Tensors out;
  for (const Tensor& t : given) out.push_back(capture.adopt(t, what, at));
  return out;
}

// A carry has one type, from the first trip to the last.
void check_carries(const std::string& what, const Tensors& begin, const Tensors& next, const Location& at) {
  if (next.size() < begin.size())
    throw Error(diagnose(at, fmt::format("{}: {} carries become {}", what, begin.size(), next.size())));
  for (size_t k = 0; k < begin.size(); ++k) {
    const TensorType from = type_of(begin[k]), to = type_of(next[k]);
    if (from == to) continue;
    throw Error(
        diagnose(at, fmt::format("{}: carry {} begins as {} and becomes {}", what, k, to_string(from), to_string(to)),
                 {{"it begins", begin[k].graph()->node(begin[k].value()).location},
                  {"what becomes of it is made", next[k].graph()->node(next[k].value()).location}}));
  }
}

}  // namespace

class CapturedLoop {
public:
  CapturedLoop(Capture& c, Tensors begin, int64_t n, Location where)
      : capture(c), regions(c, "loop", where), carries(std::move(begin)), trips(n), at(std::move(where)) {}
  Capture& capture;
  Regions regions;
  Tensors carries, next;
  int64_t trips;
  Location at;
};

std::shared_ptr<const CapturedLoop> capture_loop(int64_t trips, const Tensors& carries, const Body& body,
                                                 const Location& where) {
  Capture& capture = current("loop", where);
  const Location at = capture.place(where);
  if (trips < 0) throw Error(diagnose(at, fmt::format("loop: {} trips", trips)));
  auto loop = std::make_shared<CapturedLoop>(capture, adopted(capture, carries, "loop", at), trips, at);
  loop->next = loop->regions.add("body", loop_arguments(loop->carries), body);
  check_carries("loop", loop->carries, loop->next, at);
  if (loop->next.size() > carries.size())
    throw Error(diagnose(at, fmt::format("loop: {} carries become {}", carries.size(), loop->next.size())));
  return loop;
}

Tensors place_loop(const CapturedLoop& captured, const std::vector<size_t>& collected) {
  Capture& capture = captured.capture;
  graph::Graph& g = *capture.graph();
  if (current_or_null() != &capture || (!captured.carries.empty() && captured.carries[0].graph() != capture.graph()))
    throw Error(diagnose(captured.at, "loop: its results are asked for in another region than the one it is in"));
  for (size_t k : collected)
    if (k >= captured.next.size())
      throw Error(
          diagnose(captured.at, fmt::format("loop: carry {} of {} is to be collected", k, captured.next.size())));
  Regions regions = captured.regions;
  for (size_t k = 0; k < captured.next.size(); ++k) regions.output(0, fmt::format("carry {}", k), captured.next[k]);
  for (size_t k : collected) regions.output(0, fmt::format("collected {}", k), captured.next[k]);
  const std::vector<Var> around = regions.captured(g);
  g.context.location = captured.at;
  Tensors results =
      tensors(capture, graph::scan(g, regions.graph(0), captured.trips, vars(capture, captured.carries), {}, around));
  for (size_t n = 0; n < collected.size(); ++n) results[collected[n]] = results[captured.carries.size() + n];
  results.resize(captured.carries.size());
  return results;
}

Tensors place_scan(const Tensors& over, bool reverse, const Tensors& carries, const Body& body, const Location& where) {
  Capture& capture = current("scan", where);
  const Location at = capture.place(where);
  const Tensors begin = adopted(capture, carries, "scan", at), wholes = adopted(capture, over, "scan", at);
  std::vector<Argument> arguments = loop_arguments(begin);
  for (const Tensor& t : wholes) {
    TensorType type = type_of(t);
    if (type.shape.empty() || type.shape[0] != type_of(wholes[0]).shape[0])
      throw Error(
          diagnose(at,
                   fmt::format("scan: input {} is {}, and input 0 is {}: expected equal leading dimensions",
                               arguments.size() - 1 - begin.size(), to_string(type), to_string(type_of(wholes[0]))),
                   {{"it is made", t.graph()->node(t.value()).location}}));
    type.shape.erase(type.shape.begin());
    arguments.push_back({fmt::format("slice {}", arguments.size() - 1 - begin.size()), type});
  }
  if (wholes.empty())
    throw Error(diagnose(at, "scan: there is nothing to go over", {}, "loop takes a number of trips"));
  Regions regions(capture, "scan", at);
  const Tensors next = regions.add("body", arguments, body);
  check_carries("scan", begin, next, at);
  for (size_t k = 0; k < next.size(); ++k)
    regions.output(0, k < begin.size() ? fmt::format("carry {}", k) : fmt::format("stack {}", k - begin.size()),
                   next[k]);
  graph::Graph& g = *capture.graph();
  const std::vector<Var> around = regions.captured(g);
  g.context.location = at;
  return tensors(capture, graph::scan(g, regions.graph(0), type_of(wholes[0]).shape[0], vars(capture, begin),
                                      vars(capture, wholes), around, reverse));
}

Tensors place_while(const Tensors& carries, const Body& condition, const Body& body, int64_t limit,
                    const Location& where) {
  Capture& capture = current("while_loop", where);
  const Location at = capture.place(where);
  if (limit < -1) throw Error(diagnose(at, fmt::format("while_loop: limit {}: expected -1 for none", limit)));
  const Tensors begin = adopted(capture, carries, "while_loop", at);
  Regions regions(capture, "while_loop", at);
  const Tensors holds = regions.add("condition", loop_arguments(begin), condition);
  if (!(type_of(holds[0]) == TensorType{boolean, {}}))
    throw Error(diagnose(at,
                         fmt::format("while_loop: the condition is {}, expected bool[]", to_string(type_of(holds[0]))),
                         {{"it is made", holds[0].graph()->node(holds[0].value()).location}}));
  const Tensors next = regions.add("body", loop_arguments(begin), body);
  check_carries("while_loop", begin, next, at);
  regions.output(0, "holds", holds[0]);
  for (size_t k = 0; k < next.size(); ++k) regions.output(1, fmt::format("carry {}", k), next[k]);
  graph::Graph& g = *capture.graph();
  const std::vector<Var> around = regions.captured(g);
  g.context.location = at;
  return tensors(capture,
                 graph::while_loop(g, regions.graph(0), regions.graph(1), limit, vars(capture, begin), around));
}

Tensors place_cond(const Tensor& predicate, const Body& then, const Body& otherwise, const Location& where) {
  Capture& capture = current("cond", where);
  const Location at = capture.place(where);
  const Tensor p = capture.adopt(predicate, "cond", at);
  Regions regions(capture, "cond", at);
  const Tensors sides[] = {regions.add("then", {}, then), regions.add("otherwise", {}, otherwise)};
  for (size_t s = 0; s < 2; ++s)
    for (size_t k = 0; k < sides[s].size(); ++k) regions.output(s, fmt::format("result {}", k), sides[s][k]);
  graph::Graph& g = *capture.graph();
  const std::vector<Var> around = regions.captured(g);
  g.context.location = at;
  return tensors(capture, graph::cond({&g, p.value()}, regions.graph(0), regions.graph(1), around));
}

}  // namespace gmc::dsl
