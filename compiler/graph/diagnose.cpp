#include "compiler/graph/diagnose.h"

#include "compiler/graph/graph.h"
#include "compiler/graph/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <utility>

namespace gmc::graph {
namespace {

std::string source_line(const Location& at) {
  if (at.line <= 0) return {};
  std::ifstream file(at.file);
  std::string line;
  for (int i = 0; i < at.line && std::getline(file, line); ++i) {
  }
  return file ? line : std::string();
}

// gmc's own sources have the path that the build gave the compiler, which leads there from the build's folder only.
std::string findable(const std::string& file) {
  namespace fs = std::filesystem;
  std::error_code problem;
  if (file.empty() || fs::path(file).is_absolute() || fs::exists(file, problem)) return file;
  const fs::path built = (fs::path(GMC_BINARY_DIR) / file).lexically_normal();
  return fs::exists(built, problem) ? built.string() : file;
}

bool in_identifier(char c) { return isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// Steps left from the last token of an operator's right operand to the operator, over balanced parentheses.
size_t find_symbol(const std::string& line, size_t from, char symbol) {
  int depth = 0;
  for (size_t i = from + 1; i-- > 0;) {
    if (line[i] == ')' || line[i] == ']') ++depth;
    if ((line[i] == '(' || line[i] == '[') && --depth < 0) break;
    if (depth == 0 && line[i] == symbol) return i;
  }
  return from;
}

int refined_column(const std::string& line, int column, char symbol) {
  if (column < 1 || static_cast<size_t>(column) > line.size()) return column;
  auto i = static_cast<size_t>(column - 1);
  const bool call = line[i] == '(' || line[i] == '{';
  if (!call) return symbol == 0 ? column : static_cast<int>(find_symbol(line, i, symbol)) + 1;
  while (i > 0 && in_identifier(line[i - 1])) --i;
  return static_cast<int>(i) + 1;
}

std::string place(const Location& at, char symbol = 0) { return to_string(refined(at, symbol)); }

// The operator that users write for an op, 0 if they call it by name.
char symbol_of(const OpDef& op) {
  static constexpr std::pair<const char*, char> symbols[] = {
      {"add", '+'}, {"sub", '-'}, {"mul", '*'}, {"div", '/'}, {"neg", '-'}};
  for (const auto& [name, symbol] : symbols)
    if (std::string_view(op.name) == name) return symbol;
  return 0;
}

std::string describe(const Graph& graph, Value v) {
  const Node& node = graph.node(v);
  const std::string shape = to_string(graph.type(v).shape);
  const std::string where =
      node.location.line > 0 ? fmt::format(" ({})", place(node.location, symbol_of(*node.op))) : "";
  if (node.op->category != Category::input) return fmt::format("{} is the result of {}{}", shape, node.name, where);
  const std::string& name = node.text("name");
  if (node.text("role") == "state") return fmt::format("{}: {} is a state of the program{}", name, shape, where);
  if (node.text("role") == "argument")
    return fmt::format("{}: {} is an argument of the region '{}'{}", name, shape, graph.entry(), where);
  return fmt::format("{}: {} is the input of entry '{}'{}", name, shape, graph.entry(), where);
}

std::string render(const Location& location, const std::string& message, std::vector<std::string> notes,
                   const std::string& beside, const std::string& help, char symbol) {
  std::string text = "error: " + message;
  bool caret = false;
  if (location.line > 0) {
    const Location at = refined(location, symbol);
    text = fmt::format("{}: {}", to_string(at), text);
    std::string line = source_line(at);
    std::replace(line.begin(), line.end(), '\t', ' ');
    caret = !line.empty();
    if (caret)
      text += fmt::format("\n{:5} | {}\n      | {:{}}^{}{}", at.line, line, "", std::max(0, at.column - 1),
                          beside.empty() ? "" : " ", beside);
  }
  if (!caret && !beside.empty()) notes.insert(notes.begin(), beside);
  for (const std::string& note : notes) text += "\n  " + note;
  if (!help.empty()) text += "\n  help: " + help;
  return text;
}

std::string sentence(const Note& note) {
  return note.text + (note.location.line > 0 ? " at " + place(note.location) : "");
}

}  // namespace

Location refined(const Location& at, char symbol) {
  Location out = at;
  out.file = findable(at.file);
  out.column = refined_column(source_line(out), at.column, symbol);
  return out;
}

std::string diagnose(const Location& at, const std::string& message, const std::vector<Note>& notes,
                     const std::string& help, char symbol) {
  std::vector<std::string> lines;
  for (const Note& note : notes) lines.push_back(sentence(note));
  return render(at, message, std::move(lines), {}, help, symbol);
}

std::string diagnose(const Graph& graph, const std::string& message, const std::vector<Value>& operands,
                     const std::string& help) {
  // The innermost layer stands beside the caret; the layers around it and the operands stand below.
  std::vector<std::string> lines;
  const std::vector<Note>& layers = graph.context.notes;
  for (size_t i = layers.size(); i-- > 0;) lines.push_back(sentence(layers[i]));
  std::string beside;
  if (!lines.empty()) beside = lines.front(), lines.erase(lines.begin());
  for (Value v : operands) {
    if (graph.node(v).op->category == Category::constant && graph.type(v).shape.empty()) continue;  // a literal number
    std::string line = describe(graph, v);
    if (std::find(lines.begin(), lines.end(), line) == lines.end()) lines.push_back(std::move(line));
  }
  return render(graph.context.location, message, std::move(lines), beside, help, graph.context.symbol);
}

}  // namespace gmc::graph
