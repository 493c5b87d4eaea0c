#include "compiler/graph/text.h"

#include "runtime/base/error.h"

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <charconv>
#include <set>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace gmc::graph {
namespace {

std::string quote(const std::string& text) { return nlohmann::json(text).dump(); }

std::string print_value(const Attribute& value) {
  struct Printer {
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(int64_t v) const { return fmt::format("{}", v); }
    std::string operator()(double v) const {
      std::string text = fmt::format("{}", v);
      return text.find_first_of(".enai") == std::string::npos ? text + ".0" : text;
    }
    std::string operator()(const std::string& v) const { return quote(v); }
    std::string operator()(const std::vector<int64_t>& v) const { return fmt::format("[{}]", fmt::join(v, ",")); }
    // A list of numbers starts with `#`, so that an empty one and one of whole numbers are told from integers.
    std::string operator()(const std::vector<double>& v) const { return fmt::format("#[{}]", fmt::join(v, ",")); }
  };
  return std::visit(Printer{}, value);
}

std::string print_ref(const Graph& g, Value v) {
  return g.node(v).types.size() == 1 ? fmt::format("%{}", v.node) : fmt::format("%{}#{}", v.node, v.result);
}

// A cursor over one line of text.
class Line {
public:
  Line(std::string_view text, int number) : text_(text), number_(number) { skip(); }

  template <class... Args>
  [[noreturn]] void error(fmt::format_string<Args...> format, Args&&... args) const {
    fail("graph text line {}, column {}: {}", number_, at_ + 1, fmt::format(format, std::forward<Args>(args)...));
  }
  bool done() const { return at_ == text_.size(); }
  bool accept(std::string_view token) {
    if (text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    skip();
    return true;
  }
  void expect(std::string_view token) {
    if (!accept(token)) error("expected '{}'", token);
  }
  std::string word() {
    const size_t begin = at_;
    while (at_ < text_.size() && (isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_')) ++at_;
    if (begin == at_) error("expected a word");
    std::string out(text_.substr(begin, at_ - begin));
    skip();
    return out;
  }
  std::string quoted() {
    if (done() || text_[at_] != '"') error("expected a quoted string");
    size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != '"') end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) error("the string does not end");
    auto value = nlohmann::json::parse(text_.substr(at_, end + 1 - at_), nullptr, false);
    if (!value.is_string()) error("malformed string");
    at_ = end + 1;
    skip();
    return value.get<std::string>();
  }
  int64_t integer() {
    int64_t value = 0;
    const auto [end, problem] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (problem != std::errc()) error("expected an integer");
    at_ = static_cast<size_t>(end - text_.data());
    skip();
    return value;
  }
  Shape list() {
    Shape out;
    expect("[");
    while (!accept("]")) {
      out.push_back(integer());
      if (!accept(",") && (done() || text_[at_] != ']')) error("expected ',' or ']'");
    }
    return out;
  }
  std::vector<double> numbers() {
    std::vector<double> out;
    expect("[");
    while (!accept("]")) {
      out.push_back(number(",]"));
      if (!accept(",") && (done() || text_[at_] != ']')) error("expected ',' or ']'");
    }
    return out;
  }
  // Up to one of `ends`.
  double number(const char* ends) {
    const size_t end = std::min(text_.find_first_of(ends, at_), text_.size());
    const std::string_view digits = text_.substr(at_, end - at_);
    double value = 0;
    const auto [stop, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (problem != std::errc() || stop != digits.data() + digits.size()) error("malformed number '{}'", digits);
    at_ = end;
    return value;
  }
  Attribute attribute() {
    if (done()) error("expected a value");
    if (accept("#")) return numbers();
    if (text_[at_] == '"') return quoted();
    if (text_[at_] == '[') return list();
    if (accept("true")) return true;
    if (accept("false")) return false;
    const size_t end = std::min(text_.find_first_of(",}", at_), text_.size());
    if (text_.substr(at_, end - at_).find_first_of(".enai") == std::string_view::npos) return integer();
    return number(",}");
  }

private:
  void skip() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  std::string_view text_;
  int number_;
  size_t at_ = 0;
};

Value parse_ref(Line& line, const Graph& g) {
  line.expect("%");
  Value v{static_cast<int32_t>(line.integer()), 0};
  if (line.accept("#")) v.result = static_cast<int32_t>(line.integer());
  if (v.node < 0 || static_cast<size_t>(v.node) >= g.nodes().size()) line.error("%{} is not defined above", v.node);
  if (v.result < 0 || static_cast<size_t>(v.result) >= g.node(v).types.size())
    line.error("%{} has no result {}", v.node, v.result);
  return v;
}

// Lines of a graph's text that are not empty.
struct Source {
  std::vector<std::pair<std::string_view, int>> lines;  // and their numbers
  size_t next = 0;

  explicit Source(std::string_view text) {
    for (int number = 1; !text.empty(); ++number) {
      const size_t end = std::min(text.find('\n'), text.size());
      const std::string_view line = text.substr(0, end);
      const size_t begin = line.find_first_not_of(' ');
      if (begin != std::string_view::npos && line.substr(begin, 2) != "//") lines.emplace_back(line, number);
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }
  bool done() const { return next == lines.size(); }
  size_t indent() const { return lines[next].first.find_first_not_of(' '); }
  bool region() const {
    const std::string_view word = lines[next].first.substr(indent(), 7);
    return word == "region " || word == "region";
  }
  Line line() const { return Line(lines[next].first, lines[next].second); }
};

constexpr size_t deepest = 64;  // blanks

void parse_body(Source&, Graph&, const std::vector<const OpDef*>&, size_t indent);

// The regions that follow a node at `indent`.
Regions parse_regions(Source& source, const std::vector<const OpDef*>& ops, size_t indent) {
  Regions out;
  while (!source.done() && source.region() && source.indent() > indent) {
    Line line = source.line();
    if (source.indent() != indent + 2) line.error("expected {} blanks in front", indent + 2);
    if (indent >= deepest) line.error("regions are nested more than {} deep", deepest / 2);
    line.expect("region");
    auto region = std::make_shared<Graph>(line.word());
    if (!line.done()) line.error("unexpected text after the region's name");
    ++source.next;
    parse_body(source, *region, ops, indent + 2);
    out.push_back(std::move(region));
  }
  return out;
}

void parse_node(Source& source, Line& line, Graph& g, const std::vector<const OpDef*>& ops, size_t indent) {
  const int64_t id = line.integer();
  if (id != static_cast<int64_t>(g.nodes().size())) line.error("expected node %{}", g.nodes().size());
  line.expect("=");
  const std::string name = line.word();
  Node node;
  for (const OpDef* op : ops)
    if (op->name == name) node.op = op;
  if (!node.op) line.error("unknown op '{}'", name);
  std::vector<Value> inputs;
  while (!line.done() && !line.accept(":")) {
    if (line.accept("{")) {
      while (!line.accept("}")) {
        const std::string key = line.word();
        line.expect("=");
        node.attributes[key] = line.attribute();
        line.accept(",");
      }
      continue;
    }
    inputs.push_back(parse_ref(line, g));
  }
  do {
    const std::string dtype = line.word();
    const auto parsed = dtype_named(dtype);
    if (!parsed) line.error("unknown dtype '{}'", dtype);
    node.types.push_back({*parsed, line.list()});
  } while (line.accept(","));
  node.name = line.quoted();
  if (line.accept("@")) {
    node.location.file = line.quoted();
    line.expect(":");
    node.location.line = static_cast<int>(line.integer());
    line.expect(":");
    node.location.column = static_cast<int>(line.integer());
  }
  if (!line.done()) line.error("unexpected text after the node");
  node.regions = parse_regions(source, ops, indent);
  const std::string wanted = node.name;
  const Value added = g.copy(node, std::move(inputs));
  if (g.node(added).name != wanted) line.error("the name '{}' is used twice", wanted);
}

// Nodes and outputs at `indent`, down to a line further out.
void parse_body(Source& source, Graph& g, const std::vector<const OpDef*>& ops, size_t indent) {
  while (!source.done() && source.indent() >= indent) {
    Line line = source.line();
    if (indent > 0 && source.region()) return;  // the next of the same node
    if (indent > 0 && source.indent() != indent) line.error("expected {} blanks in front", indent);
    ++source.next;
    if (line.accept("%")) {
      parse_node(source, line, g, ops, indent);
      continue;
    }
    const bool is_state = line.accept("update");
    if (!is_state) line.expect("output");
    std::string name = line.quoted();
    const Value value = parse_ref(line, g);
    g.add_output({std::move(name), value, is_state});
    if (!line.done()) line.error("unexpected text after the output");
  }
}

void print_body(std::string& out, const Graph& g, size_t indent, bool locations) {
  const std::string blanks(indent, ' ');
  for (size_t i = 0; i < g.nodes().size(); ++i) {
    const Node& n = g.nodes()[i];
    out += fmt::format("{}%{} = {}", blanks, i, n.op->name);
    for (Value v : n.inputs) out += " " + print_ref(g, v);
    if (!n.attributes.empty()) {
      std::vector<std::string> parts;
      for (const auto& [key, value] : n.attributes) parts.push_back(key + "=" + print_value(value));
      out += fmt::format(" {{{}}}", fmt::join(parts, ", "));
    }
    std::vector<std::string> types;
    for (const TensorType& t : n.types) types.push_back(to_string(t));
    out += fmt::format(" : {} {}", fmt::join(types, ", "), quote(n.name));
    if (locations && n.location.line > 0)
      out += fmt::format(" @ {}:{}:{}", quote(n.location.file), n.location.line, n.location.column);
    out += '\n';
    for (const auto& region : n.regions) {
      out += fmt::format("{}  region {}\n", blanks, region->entry());
      print_body(out, *region, indent + 2, locations);
    }
  }
  for (const Output& o : g.outputs())
    out += fmt::format("{}{} {} {}\n", blanks, o.is_state ? "update" : "output", quote(o.name), print_ref(g, o.value));
}

}  // namespace

std::string print(const Graph& g, bool locations) {
  std::string out = fmt::format("graph {}\n", g.entry());
  print_body(out, g, 0, locations);
  return out;
}

Graph parse(std::string_view text, const std::vector<const OpDef*>& ops) {
  Source source(text);
  if (source.done()) fail("graph text is empty: expected 'graph NAME'");
  Line line = source.line();
  line.expect("graph");
  Graph g(line.done() ? "" : line.word());
  ++source.next;
  parse_body(source, g, ops, 0);
  verify(g);
  return g;
}

namespace {

void verify_region(const Graph& g, const std::string& node);

void verify_nodes(const Graph& g) {
  std::unordered_set<std::string_view> names;
  std::unordered_map<std::string_view, Value> inputs;
  for (size_t i = 0; i < g.nodes().size(); ++i) {
    const Node& n = g.nodes()[i];
    if (!n.op) fail("node %{} has no op", i);
    if (!names.insert(n.name).second) fail("node %{}: the name '{}' is used twice", i, n.name);
    std::vector<TensorType> operands;
    for (Value v : n.inputs) {
      if (v.node < 0 || static_cast<size_t>(v.node) >= i)
        fail("node %{} '{}' uses %{}, which does not precede it", i, n.name, v.node);
      if (v.result < 0 || static_cast<size_t>(v.result) >= g.node(v).types.size())
        fail("node %{} '{}' uses result {} of %{}", i, n.name, v.result, v.node);
      operands.push_back(g.type(v));
    }
    if (n.op->category == Category::input) inputs.try_emplace(n.text("name"), Value{static_cast<int32_t>(i), 0});
    for (const auto& region : n.regions) verify_region(*region, n.name);
    std::vector<TensorType> types;
    try {
      types = infer_types(*n.op, operands, n.attributes, n.regions);
    } catch (const Error& e) {
      fail("node %{} '{}': {}", i, n.name, e.what());
    }
    if (types.size() != n.types.size())
      fail("node %{} '{}': {} results are written, {} are inferred", i, n.name, n.types.size(), types.size());
    if (types != n.types)
      fail("node %{} '{}': type {} is written, {} is inferred", i, n.name, to_string(n.types.at(0)),
           to_string(types.at(0)));
  }
  std::set<std::pair<bool, std::string>> outputs;
  for (const Output& o : g.outputs()) {
    if (!outputs.insert({o.is_state, o.name}).second)
      fail("{} '{}' is given twice", o.is_state ? "update" : "output", o.name);
    if (o.value.node < 0 || static_cast<size_t>(o.value.node) >= g.nodes().size())
      fail("output '{}' names no node", o.name);
    if (o.value.result < 0 || static_cast<size_t>(o.value.result) >= g.node(o.value).types.size())
      fail("output '{}' names result {} of '{}'", o.name, o.value.result, g.node(o.value).name);
    if (!o.is_state) continue;
    const auto state = inputs.find(o.name);
    if (state != inputs.end() && !(g.type(state->second) == g.type(o.value)))
      fail("update '{}': type {} replaces {}", o.name, to_string(g.type(o.value)), to_string(g.type(state->second)));
  }
}

void verify_region(const Graph& g, const std::string& node) {
  verify_nodes(g);
  for (const Node& n : g.nodes())
    if (n.op->category == Category::input && n.text("role") != "argument")
      fail("region '{}' of '{}': the input '{}' is no argument", g.entry(), node, n.text("name"));
  for (const Output& o : g.outputs())
    if (o.is_state) fail("region '{}' of '{}' updates the state '{}'", g.entry(), node, o.name);
}

}  // namespace

void verify(const Graph& g) {
  verify_nodes(g);
  for (const Node& n : g.nodes())
    if (n.op->category == Category::input && n.text("role") == "argument")
      fail("'{}' is an argument outside a region", n.text("name"));
}

}  // namespace gmc::graph
