// The `.kernel` text form:
//
//   kernel k3.fc1/matmul
//   param 0 in f32 100352 x
//   phase
//   region extents [128,784] tile [16,784]
//   product a 0 b 1 packed 5 k 784 lda 784 ldb 784 transpose 0 1
//   product a 0 b 1 packed -1 k 32 lda 384 ldb 384 transpose 0 1 at {0 [24576,32]} {128 [24576,32]}
//   product a 0 b 1 packed -1 k 27 lda 27 ldb 1 transpose 0 0 at {0 []} {0 []} k {[3,3,3] [100,10,1]} n {[8,8] [10,1]}
//   %0 = load 0 {0 [784,1]}
//   %1 = constant 0.5
//   %2 = mul %0 %1
//   %3 = random normal 1234 {0 [20,1]}
//   %4 = load 0 {-1 [6,1]} within 5 {-1 [0,1]} else 0.5 bf16
//   %5 = gather 0 {0 [0,1]} %1 of 7 6
//   %6 = index {0 [0,1]} i64
//   %4 = row sum %2
//   %5 = product
//   store 2 {0 [784,1]} %2
//   fold sum 3 {0 [0,1]} %2
#include "compiler/kernel/kernel.h"

#include "runtime/base/error.h"

#include <fmt/ranges.h>

#include <charconv>
#include <sstream>

namespace gmc::kernel {
namespace {

using Kind = Instruction::Kind;

const char* mode_name(Parameter::Mode mode) {
  return mode == Parameter::Mode::in ? "in" : mode == Parameter::Mode::out ? "out" : "temporary";
}

std::string print(const Access& a) { return fmt::format("{{{} [{}]}}", a.base, fmt::join(a.strides, ",")); }

std::string print(const Axes& a) {
  return fmt::format("{{[{}] [{}]}}", fmt::join(a.extents, ","), fmt::join(a.strides, ","));
}

std::string print_guards(const Instruction& in) {
  std::string out;
  for (const Guard& g : in.guards) out += fmt::format(" within {} {}", g.extent, print(g.at));
  return in.guards.empty() ? out : out + fmt::format(" else {}", in.outside);
}

std::string print(const Instruction& in, size_t id) {
  std::string operands;
  for (int operand : in.operands) operands += fmt::format(" %{}", operand);
  const std::string type = in.dtype == DType::f32 ? "" : fmt::format(" {}", name_of(in.dtype));
  switch (in.kind) {
  case Kind::load:
    return fmt::format("%{} = load {} {}{}{}", id, in.parameter, print(in.access), print_guards(in), type);
  case Kind::gather: {
    std::string subscripts;
    for (size_t k = 0; k < in.operands.size(); ++k)
      subscripts += fmt::format(" %{} of {} {}", in.operands[k], in.subscripts[k].extent, in.subscripts[k].stride);
    return fmt::format("%{} = gather {} {}{}{}", id, in.parameter, print(in.access), subscripts, type);
  }
  case Kind::index:
    return fmt::format("%{} = index {}{}{}", id, print(in.access), print_guards(in), type);
  case Kind::constant:
    return fmt::format("%{} = constant {}{}{}", id, in.value, print_guards(in), type);
  case Kind::compute:
    return fmt::format("%{} = {}{}{}", id, in.function, operands, type);
  case Kind::random:
    return fmt::format("%{} = random {} {} {}", id, in.function, in.stream, print(in.access));
  case Kind::product:
    return fmt::format("%{} = product", id);
  case Kind::row:
    return fmt::format("%{} = row {}{}{}", id, in.function, operands, type);
  case Kind::store:
    return fmt::format("store {} {}{}{}", in.parameter, print(in.access), operands, type);
  case Kind::fold:
    return fmt::format("fold {} {} {}{}{}", in.function, in.parameter, print(in.access), operands, type);
  }
  return {};
}

// Words of one line; brackets, braces and commas are spaces, so that lists are runs of numbers with a known length.
class Words {
public:
  Words(std::string line, int number) : line_(std::move(line)), number_(number) {
    for (char& c : line_)
      if (c == '{' || c == '}' || c == ',') c = ' ';
  }
  std::string word() {
    skip();
    const size_t begin = at_;
    while (at_ < line_.size() && line_[at_] != ' ') ++at_;
    if (begin == at_) fail("kernel text line {}: a word is missing", number_);
    return line_.substr(begin, at_ - begin);
  }
  template <class T>
  T number() {
    return convert<T>(word());
  }
  // Takes `token` if it is next.
  bool accept(const char* token) {
    const size_t begin = at_;
    if (!done() && word() == token) return true;
    at_ = begin;
    return false;
  }
  bool at_reference() {
    skip();
    return at_ < line_.size() && line_[at_] == '%';
  }
  int reference() {
    const std::string text = word();
    if (text.empty() || text[0] != '%') fail("kernel text line {}: expected %N, got '{}'", number_, text);
    return convert<int>(text.substr(1));
  }
  void expect(const char* token) {
    if (word() != token) fail("kernel text line {}: expected '{}'", number_, token);
  }
  Shape list() {
    skip();
    if (at_ >= line_.size() || line_[at_] != '[') fail("kernel text line {}: expected '['", number_);
    const size_t end = line_.find(']', at_);
    if (end == std::string::npos) fail("kernel text line {}: '[' without ']'", number_);
    std::istringstream in(line_.substr(at_ + 1, end - at_ - 1));
    Shape out;
    for (int64_t value; in >> value;) out.push_back(value);
    at_ = end + 1;
    return out;
  }
  Access access() {
    Access a;
    a.base = number<int64_t>();
    a.strides = list();
    return a;
  }
  bool done() {
    skip();
    return at_ >= line_.size();
  }
  std::string rest() {
    skip();
    std::string out = line_.substr(at_);
    at_ = line_.size();
    return out;
  }
  int line_number() const { return number_; }

private:
  template <class T>
  T convert(const std::string& text) {
    T value{};
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc() || end != text.data() + text.size())
      fail("kernel text line {}: expected a number, got '{}'", number_, text);
    return value;
  }
  void skip() {
    while (at_ < line_.size() && line_[at_] == ' ') ++at_;
  }
  std::string line_;
  int number_;
  size_t at_ = 0;
};

// What ends the line of a value that is not f32.
DType parse_type(Words& words) {
  if (words.done()) return DType::f32;
  const std::string name = words.word();
  const auto dtype = dtype_named(name);
  if (!dtype) fail("kernel text line {}: expected a dtype, got '{}'", words.line_number(), name);
  return *dtype;
}

Instruction parse_value(Words& words) {
  Instruction in;
  const std::string what = words.word();
  if (what == "load") {
    in.kind = Kind::load;
    in.parameter = words.number<int>();
    in.access = words.access();
  } else if (what == "gather") {
    in.kind = Kind::gather;
    in.parameter = words.number<int>();
    in.access = words.access();
    while (words.at_reference()) {
      in.operands.push_back(words.reference());
      words.expect("of");
      const auto extent = words.number<int64_t>();
      in.subscripts.push_back({extent, words.number<int64_t>()});
    }
  } else if (what == "index") {
    in.kind = Kind::index;
    in.access = words.access();
  } else if (what == "constant") {
    in.kind = Kind::constant;
    in.value = words.number<double>();
  } else if (what == "random") {
    in.kind = Kind::random;
    in.function = words.word();
    in.stream = words.number<uint64_t>();
    in.access = words.access();
  } else if (what == "product") {
    in.kind = Kind::product;
  } else {
    in.kind = what == "row" ? Kind::row : Kind::compute;
    in.function = what == "row" ? words.word() : what;
    const Function* f = function_named(in.function);
    if (in.kind == Kind::compute && !f)
      fail("kernel text line {}: unknown function '{}'", words.line_number(), in.function);
    for (int i = 0; i < (in.kind == Kind::row ? 1 : f->arity); ++i) in.operands.push_back(words.reference());
  }
  while (words.accept("within")) {
    const auto extent = words.number<int64_t>();
    in.guards.push_back({words.access(), extent});
  }
  if (!in.guards.empty()) words.expect("else"), in.outside = words.number<double>();
  in.dtype = parse_type(words);
  return in;
}

}  // namespace

std::string print(const Region& r) {
  std::string out =
      fmt::format("region extents [{}] tile [{},{}]\n", fmt::join(r.extents, ","), r.tile_rows, r.tile_columns);
  if (const auto& p = r.product) {
    out += fmt::format("product a {} b {} packed {} k {} lda {} ldb {} transpose {} {}", p->a, p->b, p->packed, p->k,
                       p->lda, p->ldb, p->transpose_a ? 1 : 0, p->transpose_b ? 1 : 0);
    const bool plain = p->at_a == Access{} && p->at_b == Access{} && !p->unfolded;
    if (!plain) out += fmt::format(" at {} {}", print(p->at_a), print(p->at_b));
    if (p->unfolded) out += fmt::format(" k {} n {}", print(p->unfolded->k), print(p->unfolded->n));
    out += "\n";
  }
  for (size_t i = 0; i < r.body.size(); ++i) out += print(r.body[i], i) + "\n";
  return out;
}

std::string print(const Kernel& kernel) {
  std::string out = fmt::format("kernel {}\n", kernel.name);
  for (size_t i = 0; i < kernel.parameters.size(); ++i) {
    const Parameter& p = kernel.parameters[i];
    out += fmt::format("param {} {} {} {} {}\n", i, mode_name(p.mode), name_of(p.dtype), p.elements, p.name);
  }
  for (const Phase& phase : kernel.phases) {
    out += "phase\n";
    for (const Region& region : phase.regions) out += print(region);
  }
  return out;
}

Kernel parse(std::string_view text) {
  Kernel kernel;
  std::istringstream in{std::string(text)};
  int number = 0;
  auto region = [&](const Words& words) -> Region& {
    if (kernel.phases.empty() || kernel.phases.back().regions.empty())
      fail("kernel text line {}: no region above", words.line_number());
    return kernel.phases.back().regions.back();
  };
  for (std::string line; std::getline(in, line);) {
    Words words(line, ++number);
    if (words.done()) continue;
    const std::string head = words.word();
    if (head == "//") continue;
    if (head == "kernel") {
      kernel.name = words.rest();
    } else if (head == "param") {
      Parameter p;
      if (words.number<size_t>() != kernel.parameters.size())
        fail("kernel text line {}: expected parameter {}", number, kernel.parameters.size());
      const std::string mode = words.word();
      p.mode = mode == "in" ? Parameter::Mode::in : mode == "out" ? Parameter::Mode::out : Parameter::Mode::temporary;
      if (mode != mode_name(p.mode)) fail("kernel text line {}: unknown mode '{}'", number, mode);
      const auto dtype = dtype_named(words.word());
      if (!dtype) fail("kernel text line {}: unknown dtype", number);
      p.dtype = *dtype;
      p.elements = words.number<int64_t>();
      p.name = words.rest();
      kernel.parameters.push_back(p);
    } else if (head == "phase") {
      kernel.phases.emplace_back();
    } else if (head == "region") {
      if (kernel.phases.empty()) fail("kernel text line {}: no phase above", number);
      Region r;
      words.expect("extents");
      r.extents = words.list();
      words.expect("tile");
      const Shape tile = words.list();
      if (tile.size() != 2) fail("kernel text line {}: expected tile [rows,columns]", number);
      r.tile_rows = tile[0];
      r.tile_columns = tile[1];
      kernel.phases.back().regions.push_back(r);
    } else if (head == "product") {
      Product p;
      words.expect("a"), p.a = words.number<int>();
      words.expect("b"), p.b = words.number<int>();
      words.expect("packed"), p.packed = words.number<int>();
      words.expect("k"), p.k = words.number<int64_t>();
      words.expect("lda"), p.lda = words.number<int64_t>();
      words.expect("ldb"), p.ldb = words.number<int64_t>();
      words.expect("transpose"), p.transpose_a = words.number<int>() != 0;
      p.transpose_b = words.number<int>() != 0;
      if (!words.done()) {
        words.expect("at");
        p.at_a = words.access();
        p.at_b = words.access();
      }
      if (!words.done()) {
        p.unfolded.emplace();
        for (auto [name, axes] : {std::pair{"k", &p.unfolded->k}, std::pair{"n", &p.unfolded->n}}) {
          words.expect(name);
          axes->extents = words.list();
          axes->strides = words.list();
        }
      }
      region(words).product = p;
    } else if (head == "store" || head == "fold") {
      Instruction store;
      store.kind = head == "store" ? Kind::store : Kind::fold;
      if (head == "fold") store.function = words.word();
      store.parameter = words.number<int>();
      store.access = words.access();
      store.operands = {words.reference()};
      if (head == "store" && words.at_reference()) store.operands.push_back(words.reference());
      store.dtype = parse_type(words);
      region(words).body.push_back(store);
    } else if (head[0] == '%') {
      words.expect("=");
      region(words).body.push_back(parse_value(words));
    } else {
      fail("kernel text line {}: unknown word '{}'", number, head);
    }
    if (!words.done()) fail("kernel text line {}: unexpected text '{}'", number, words.rest());
  }
  verify(kernel);
  return kernel;
}

}  // namespace gmc::kernel
