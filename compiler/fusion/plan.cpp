#include "compiler/fusion/plan.h"

#include "compiler/graph/text.h"
#include "runtime/base/error.h"
#include "runtime/execute/random.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <queue>
#include <set>

namespace gmc::fusion {
namespace {

std::vector<size_t> kernel_of_ops(const View& view, const Plan& plan) {
  std::vector<size_t> kernel_of(view.ops().size());
  for (size_t k = 0; k < plan.kernels.size(); ++k)
    for (const auto& region : plan.kernels[k].regions)
      for (int op : region) kernel_of[static_cast<size_t>(op)] = k;
  return kernel_of;
}

int64_t source_bytes(const View& view, Value v) {
  const graph::TensorType& type = view.graph().type(v);
  return byte_size(type.dtype, type.shape);
}

// Region by region.
nlohmann::json ops_of(const nlohmann::json& kernel) {
  return kernel.contains("ops") ? nlohmann::json::array({kernel.at("ops")}) : kernel.at("regions");
}

void check_bodies(const View& view, const nlohmann::json& j, const PlanKernel& kernel) {
  if (!j.contains("bodies")) return;
  const bool one = kernel.regions.size() == 1 && kernel.regions[0].size() == 1;
  const size_t expected = one ? view.node(kernel.regions[0][0]).regions.size() : 0;
  if (expected == 0)
    fail("plan of entry '{}', kernel '{}': \"bodies\" are of a kernel that holds one loop or cond",
         view.graph().entry(), kernel.id);
  const nlohmann::json& bodies = j.at("bodies");
  if (!bodies.is_array() || bodies.size() != expected)
    fail("plan of entry '{}', kernel '{}': \"bodies\" must be an array of {}, one plan for each region of '{}'",
         view.graph().entry(), kernel.id, expected, view.node(kernel.regions[0][0]).name);
}

}  // namespace

double flops(const View& view, int op) {
  const Op& o = view.ops()[static_cast<size_t>(op)];
  if (is_whole(o.category)) {
    int64_t most = 1;
    for (const graph::TensorType& type : view.node(op).types) most = std::max(most, element_count(type.shape));
    for (Value v : view.node(op).inputs) most = std::max(most, element_count(view.graph().type(v).shape));
    return static_cast<double>(most) * view.node(op).op->cost;
  }
  if (o.category != Category::matmul) return static_cast<double>(element_count(o.index_space)) * view.node(op).op->cost;
  const Shape& a = view.graph().type(view.node(op).inputs[0]).shape;
  const int64_t k = a[a.size() - (view.node(op).flag("transpose_a") ? 2 : 1)];
  return 2.0 * static_cast<double>(element_count(o.index_space)) * static_cast<double>(k);
}

Traffic traffic(const View& view, const PlanKernel& kernel) {
  std::vector<int> inside;
  for (const auto& region : kernel.regions) inside.insert(inside.end(), region.begin(), region.end());
  std::sort(inside.begin(), inside.end());
  const auto is_inside = [&](int op) { return std::binary_search(inside.begin(), inside.end(), op); };
  std::vector<Value> read;
  Traffic out;
  for (int op : inside) {
    for (const Access& a : view.ops()[static_cast<size_t>(op)].operands)
      if (!view.is_free(a.source) && !is_inside(view.op_of(a.source))) read.push_back(a.source);
    const std::vector<int>& readers = view.readers(op);
    if (view.leaves(op) || !std::all_of(readers.begin(), readers.end(), is_inside)) out.written += view.bytes(op);
  }
  std::sort(read.begin(), read.end());
  read.erase(std::unique(read.begin(), read.end()), read.end());
  for (Value v : read) out.read += source_bytes(view, v);
  return out;
}

PlanReport report(const View& view, const Plan& plan) {
  PlanReport r;
  const std::vector<size_t> kernel_of = kernel_of_ops(view, plan);
  for (const PlanKernel& kernel : plan.kernels) {
    bool product = false;
    for (const auto& region : kernel.regions)
      for (int op : region) {
        product |= view.ops()[static_cast<size_t>(op)].category == Category::matmul;
        r.flops += flops(view, op);
      }
    ++(kernel.library == runtime_library   ? r.runtime_calls
       : kernel.library == control_library ? r.control
       : !kernel.library.empty()           ? r.library_calls
       : product                           ? r.products
                                           : r.generated);
    const Traffic t = traffic(view, kernel);
    r.bytes_total += t.read + t.written;
  }
  std::set<Value> outside;
  for (size_t i = 0; i < view.ops().size(); ++i) {
    const int op = static_cast<int>(i);
    std::set<size_t> reading;
    for (int reader : view.readers(op))
      if (const size_t k = kernel_of[static_cast<size_t>(reader)]; k != kernel_of[i]) reading.insert(k);
    if (!reading.empty()) r.bytes_between += view.bytes(op) * static_cast<int64_t>(1 + reading.size());
    for (const Access& a : view.ops()[i].operands)
      if (view.op_of(a.source) < 0 && !view.is_free(a.source) && outside.insert(a.source).second)
        r.bytes_compulsory += source_bytes(view, a.source);
    if (view.leaves(op)) r.bytes_compulsory += view.bytes(op);
  }
  return r;
}

std::string graph_hash(const graph::Graph& g) {
  return fmt::format("{:016x}", execute::stream_of(graph::print(g, false).c_str()));
}

nlohmann::ordered_json to_json(const PlanReport& r) {
  return {{"generated_kernels", r.generated},
          {"products", r.products},
          {"library_calls", r.library_calls},
          {"runtime_calls", r.runtime_calls},
          {"control", r.control},
          {"bytes_between_kernels", r.bytes_between},
          {"bytes_total", r.bytes_total},
          {"bytes_compulsory", r.bytes_compulsory}};
}

nlohmann::ordered_json to_json(const View& view, const Plan& plan) {
  using json = nlohmann::ordered_json;
  json out{{"fuseplan", 1}, {"entry", plan.entry}, {"graph", plan.graph}, {"policy", plan.policy}};
  out["report"] = to_json(report(view, plan));
  json kernels = json::array();
  for (const PlanKernel& kernel : plan.kernels) {
    json regions = json::array();
    double work = 0;
    for (const auto& region : kernel.regions) {
      json names = json::array();
      for (int op : region) {
        names.push_back(view.node(op).name);
        work += flops(view, op);
      }
      regions.push_back(std::move(names));
    }
    json k{{"id", kernel.id}};
    k[regions.size() == 1 ? "ops" : "regions"] = regions.size() == 1 ? regions[0] : regions;
    if (!kernel.library.empty()) k["library"] = kernel.library;
    const Traffic t = traffic(view, kernel);
    k["predicted"] = json{{"bytes_read", t.read}, {"bytes_written", t.written}, {"flops", work}};
    if (!kernel.reason.empty()) k["reason"] = kernel.reason;
    kernels.push_back(std::move(k));
  }
  out["kernels"] = std::move(kernels);
  json decisions = json::array();
  for (const Decision& d : plan.decisions) {
    json entry{{"a", d.a}, {"b", d.b}, {"result", d.result}};
    if (!d.rule.empty()) entry["rule"] = d.rule;
    if (!d.witness.empty()) entry["why"] = d.witness;
    decisions.push_back(std::move(entry));
  }
  out["decisions"] = std::move(decisions);
  return out;
}

const nlohmann::json* body_plan(const nlohmann::json& j, const std::string& op, size_t region) {
  for (const auto& k : j.at("kernels"))
    if (k.contains("bodies") && ops_of(k) == nlohmann::json::array({nlohmann::json::array({op})}))
      return &k.at("bodies").at(region);
  return nullptr;
}

Plan plan_from_json(const View& view, const nlohmann::json& j) {
  const std::string& entry = view.graph().entry();
  auto text = [&](const nlohmann::json& object, const char* key) {
    if (!object.contains(key)) return std::string();
    if (!object.at(key).is_string()) fail("plan of entry '{}': '{}' must be a string", entry, key);
    return object.at(key).get<std::string>();
  };
  if (!j.is_object() || !j.contains("fuseplan") || j.at("fuseplan") != 1)
    fail("plan of entry '{}': expected an object with \"fuseplan\": 1", entry);
  Plan plan{entry, text(j, "policy"), text(j, "graph"), {}, {}};
  if (!plan.graph.empty() && plan.graph != graph_hash(view.graph()))
    fail("plan of entry '{}' was made for another graph: {} in the plan, {} here; make it again, or delete its "
         "\"graph\" to have it checked op by op",
         entry, plan.graph, graph_hash(view.graph()));
  if (!j.contains("kernels") || !j.at("kernels").is_array())
    fail("plan of entry '{}': expected an array \"kernels\"", entry);
  for (const auto& k : j.at("kernels")) {
    if (!k.is_object()) fail("plan of entry '{}': a kernel must be an object", entry);
    PlanKernel kernel{text(k, "id"), {}, text(k, "library"), text(k, "reason")};
    if (kernel.id.empty()) kernel.id = fmt::format("k{}", plan.kernels.size());
    if (k.contains("ops") == k.contains("regions"))
      fail("plan of entry '{}', kernel '{}': expected either \"ops\" or \"regions\"", entry, kernel.id);
    const nlohmann::json regions = ops_of(k);
    if (!regions.is_array()) fail("plan of entry '{}', kernel '{}': \"regions\" must be an array", entry, kernel.id);
    for (const auto& names : regions) {
      if (!names.is_array())
        fail("plan of entry '{}', kernel '{}': a region must be an array of op names", entry, kernel.id);
      std::vector<int> region;
      for (const auto& name : names) {
        if (!name.is_string())
          fail("plan of entry '{}', kernel '{}': an op must be named by a string", entry, kernel.id);
        region.push_back(view.find(name.get<std::string>()));
        if (region.back() < 0)
          fail("plan of entry '{}', kernel '{}': the graph has no op '{}'", entry, kernel.id, name.get<std::string>());
      }
      std::sort(region.begin(), region.end());
      kernel.regions.push_back(std::move(region));
    }
    check_bodies(view, k, kernel);
    plan.kernels.push_back(std::move(kernel));
  }
  for (const auto& d : j.value("decisions", nlohmann::json::array())) {
    if (!d.is_object()) fail("plan of entry '{}': a decision must be an object", entry);
    plan.decisions.push_back({text(d, "a"), text(d, "b"), text(d, "result"), text(d, "rule"), text(d, "why")});
  }
  return plan;
}

void order_kernels(const View& view, Plan& plan) {
  const size_t count = plan.kernels.size();
  const std::vector<size_t> kernel_of = kernel_of_ops(view, plan);
  std::vector<std::set<size_t>> before(count);
  std::vector<std::vector<size_t>> behind(count);
  for (size_t k = 0; k < count; ++k)
    for (const auto& region : plan.kernels[k].regions)
      for (int op : region)
        for (const Access& a : view.ops()[static_cast<size_t>(op)].operands)
          if (const int source = view.op_of(a.source); source >= 0)
            if (const size_t from = kernel_of[static_cast<size_t>(source)]; from != k && before[k].insert(from).second)
              behind[from].push_back(k);
  // Among those that can run, the one with the earliest op first: the order of the model.
  using Ready = std::pair<int, size_t>;
  std::priority_queue<Ready, std::vector<Ready>, std::greater<>> ready;
  std::vector<size_t> waits_for(count);
  const auto make_ready = [&](size_t k) {
    int first = static_cast<int>(view.ops().size());
    for (const auto& region : plan.kernels[k].regions)
      if (!region.empty()) first = std::min(first, region.front());
    ready.emplace(first, k);
  };
  for (size_t k = 0; k < count; ++k)
    if (waits_for[k] = before[k].size(); waits_for[k] == 0) make_ready(k);
  std::vector<PlanKernel> ordered;
  while (!ready.empty()) {
    const size_t next = ready.top().second;
    ready.pop();
    ordered.push_back(plan.kernels[next]);
    for (size_t k : behind[next])
      if (--waits_for[k] == 0) make_ready(k);
  }
  if (ordered.size() < count) {
    std::string cycle;
    for (size_t k = 0; k < count; ++k)
      if (waits_for[k] > 0) cycle += (cycle.empty() ? "" : ", ") + plan.kernels[k].id;
    fail("plan of entry '{}' breaks L1 (convex): kernels {} wait for each other", plan.entry, cycle);
  }
  plan.kernels = std::move(ordered);
}

}  // namespace gmc::fusion
