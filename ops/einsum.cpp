// Products of any number of tensors by named dimensions.
#include "ops/call.h"
#include "ops/rules.h"

#include <map>

namespace gmc::ops {
namespace {

// A label is a letter, or of an ellipsis the digit of its place from the right.
struct Equation {
  std::vector<std::string> operands;
  std::string result;
};

std::string ellipsis(size_t dimensions) {
  std::string out;
  for (size_t i = dimensions; i-- > 0;) out += static_cast<char>('0' + i);
  return out;
}

// One side of the equation with its ellipsis written out as `dimensions` digits.
std::string written_out(std::string term, size_t dimensions, const std::string& equation) {
  const size_t dots = term.find("...");
  if (dots != std::string::npos) term.replace(dots, 3, ellipsis(dimensions));
  for (char c : term)
    if (!isalpha(static_cast<unsigned char>(c)) && !isdigit(static_cast<unsigned char>(c)))
      fail("'{}' in equation '{}' is no label", c, equation);
  return term;
}

Equation parse(const std::string& text, const std::vector<Shape>& shapes) {
  std::string s;
  for (char c : text)
    if (c != ' ') s += c;
  for (char c : s)
    if (isdigit(static_cast<unsigned char>(c))) fail("'{}' in equation '{}' is no label", c, text);
  const size_t arrow = s.find("->");
  std::vector<std::string> terms{""};
  for (char c : s.substr(0, arrow)) {
    if (c == ',')
      terms.emplace_back();
    else
      terms.back() += c;
  }
  if (terms.size() != shapes.size())
    fail("equation '{}' has {} operands, {} are given", text, terms.size(), shapes.size());
  Equation out;
  size_t widest = 0;
  for (size_t i = 0; i < terms.size(); ++i) {
    const bool dots = terms[i].find("...") != std::string::npos;
    const size_t named = terms[i].size() - (dots ? 3 : 0), rank = shapes[i].size();
    if (dots ? named > rank : named != rank)
      fail("'{}' does not name the dimensions of {}", terms[i], to_string(shapes[i]));
    out.operands.push_back(written_out(terms[i], rank - named, text));
    if (dots) widest = std::max(widest, rank - named);
  }
  if (arrow != std::string::npos) {
    out.result = written_out(s.substr(arrow + 2), widest, text);
  } else {  // what is named once, in alphabetical order, behind the ellipsis
    std::map<char, int> uses;
    for (const std::string& t : out.operands)
      for (char c : t) ++uses[c];
    out.result = ellipsis(widest);
    for (const auto& [c, count] : uses)
      if (count == 1 && isalpha(static_cast<unsigned char>(c))) out.result += c;
  }
  return out;
}

std::map<char, int64_t> extents_of(const Equation& e, const std::vector<Shape>& shapes) {
  std::map<char, int64_t> out;
  for (size_t i = 0; i < shapes.size(); ++i)
    for (size_t d = 0; d < shapes[i].size(); ++d) {
      const char c = e.operands[i][d];
      const int64_t before = shapes[i][e.operands[i].find(c)];
      if (before != shapes[i][d]) fail("dimension '{}' is {} and {} in operand {}", c, before, shapes[i][d], i);
      auto [it, fresh] = out.try_emplace(c, shapes[i][d]);
      if (fresh || it->second == shapes[i][d] || shapes[i][d] == 1) continue;
      if (it->second != 1) fail("dimension '{}' is {} and {}", c, it->second, shapes[i][d]);
      it->second = shapes[i][d];
    }
  return out;
}

struct Term {
  Var x;
  std::string labels;  // one a dimension
};
bool has(const std::string& s, char c) { return s.find(c) != std::string::npos; }

// The dimensions of `labels` in that order; those that x lacks get extent 1.
Var arranged(const Term& t, const std::string& labels) {
  List perm;
  Shape to;
  for (char c : labels) {
    const size_t at = t.labels.find(c);
    to.push_back(at == std::string::npos ? 1 : t.x.shape()[at]);
    if (at != std::string::npos) perm.push_back(static_cast<int64_t>(at));
  }
  return reshape(perm == all_axes(t.x.shape()) ? t.x : transpose(t.x, perm), to);
}

// A label named twice leaves the diagonal; dimensions of 1 that others have longer, and labels that nobody else needs,
// go.
Term prepared(Term t, const std::string& needed, const std::map<char, int64_t>& extents) {
  for (size_t d = t.labels.size(); d-- > 0;) {
    const size_t first = t.labels.find(t.labels[d]);
    const auto axis = static_cast<int64_t>(d);
    if (first == d) continue;
    const Var here = equal(positions(t.x, static_cast<int64_t>(first)), positions(t.x, axis));
    t.x = sum(select(here, t.x, zeros_like(t.x)), {axis});
    t.labels.erase(d, 1);
  }
  for (size_t d = t.labels.size(); d-- > 0;) {
    const bool stretched = t.x.shape()[d] != extents.at(t.labels[d]);
    if (!stretched && has(needed, t.labels[d])) continue;
    if (stretched && !has(needed, t.labels[d])) t.x = t.x * static_cast<double>(extents.at(t.labels[d]));
    t.x = sum(t.x, {static_cast<int64_t>(d)});
    t.labels.erase(d, 1);
  }
  return t;
}

// The product of two terms, summed over what nobody else needs: a batched matrix product.
Term multiplied(const Term& a, const Term& b, const std::string& needed, const std::map<char, int64_t>& extents) {
  std::string batch, left, inner, right;
  for (char c : a.labels) (has(b.labels, c) ? has(needed, c) ? batch : inner : left) += c;
  for (char c : b.labels)
    if (!has(a.labels, c)) right += c;
  const auto count = [&](const std::string& labels) {
    int64_t n = 1;
    for (char c : labels) n *= extents.at(c);
    return n;
  };
  const Var x = reshape(arranged(a, batch + left + inner), {count(batch), count(left), count(inner)});
  const Var y = reshape(arranged(b, batch + inner + right), {count(batch), count(inner), count(right)});
  Term out{{}, batch + left + right};
  Shape shape;
  for (char c : out.labels) shape.push_back(extents.at(c));
  out.x =
      reshape(inner.empty() ? reshape(x, {count(batch), count(left), 1}) * reshape(y, {count(batch), 1, count(right)})
                            : matmul(x, y),
              shape);
  return out;
}

std::vector<Shape> shapes_of(Types t) {
  std::vector<Shape> out;
  for (const TensorType& x : t) out.push_back(x.shape);
  return out;
}

}  // namespace

// Attribute `equation`: labels of the operands' dimensions, then `->` and those of the result; without it, the labels
// named once in alphabetical order. `...` stands for dimensions that broadcast; a label that the result lacks is summed
// over; one named twice in an operand takes the diagonal. Operands are multiplied from the left.
const OpDef einsum_op{
    .name = "einsum",
    .category = Category::composite,
    .arity = -1,
    .infer = [](Types t, const Attributes& a) -> Results {
      if (t.empty()) fail("expected at least 1 operand, got 0");
      check_same_dtype(t);
      const std::vector<Shape> shapes = shapes_of(t);
      const Equation e = parse(get<std::string>(a, "equation"), shapes);
      const std::map<char, int64_t> extents = extents_of(e, shapes);
      TensorType out{t[0].dtype, {}};
      for (size_t i = 0; i < e.result.size(); ++i) {
        if (e.result.find(e.result[i]) != i) fail("the result names '{}' twice", e.result[i]);
        const auto it = extents.find(e.result[i]);
        if (it == extents.end()) fail("no operand has the dimension '{}' of the result", e.result[i]);
        out.shape.push_back(it->second);
      }
      byte_size(out.dtype, out.shape);
      return {out};
    },
    .dtypes = numeric,
    .expand =
        [](Graph&, const Node& n, Operands x) {
          std::vector<Shape> shapes;
          for (const Var& v : x) shapes.push_back(v.shape());
          const Equation e = parse(n.text("equation"), shapes);
          const std::map<char, int64_t> extents = extents_of(e, shapes);
          const auto needed_after = [&](size_t i) {
            std::string out = e.result;
            for (size_t k = i; k < x.size(); ++k) out += e.operands[k];
            return out;
          };
          const auto others = [&](size_t i) {
            std::string out = e.result;
            for (size_t k = 0; k < x.size(); ++k)
              if (k != i) out += e.operands[k];
            return out;
          };
          Term total = prepared({x[0], e.operands[0]}, others(0), extents);
          for (size_t i = 1; i < x.size(); ++i)
            total =
                multiplied(total, prepared({x[i], e.operands[i]}, others(i), extents), needed_after(i + 1), extents);
          std::string rest;
          for (char c : total.labels)
            if (!has(e.result, c)) rest += c;
          List gone;
          for (char c : rest) gone.push_back(static_cast<int64_t>(total.labels.find(c)));
          Term kept{sum_over(total.x, gone), total.labels};
          for (char c : rest) kept.labels.erase(kept.labels.find(c), 1);
          return Vars{broadcast_to(arranged(kept, e.result), n.types[0].shape)};
        },
    .samples =
        [] {
          const auto with = [](const char* equation, std::vector<Shape> shapes) {
            Sample s{{}, {{"equation", equation}}};
            for (Shape& shape : shapes) s.inputs.push_back({f32, std::move(shape)});
            return s;
          };
          return std::vector<Sample>{with("ij,jk->ik", {{3, 4}, {4, 5}}),
                                     with("bij,bkj->bki", {{2, 3, 4}, {2, 5, 4}}),
                                     with("ij->ji", {{3, 5}}),
                                     with("ii", {{4, 4}}),
                                     with("iij->ij", {{3, 3, 2}}),
                                     with("i,j", {{3}, {4}}),
                                     with("ab,bc,cd->ad", {{2, 3}, {3, 2}, {2, 4}}),
                                     with("...ij,...jk->...ik", {{2, 1, 3, 2}, {4, 2, 3}}),
                                     with("ij,ij->", {{2, 5}, {2, 5}}),
                                     with("i...->...", {{3, 2}}),
                                     with(",i", {{}, {3}}),
                                     with("ij,jk", {{0, 2}, {2, 3}}),
                                     with("bi,bj,bk->ij", {{2, 2}, {2, 3}, {2, 2}})};
        },
    .bad_samples =
        [] {
          const auto with = [](const char* equation, const char* message) {
            return BadSample{{{f32, {3, 4}}, {f32, {4, 5}}}, {{"equation", equation}}, message};
          };
          return std::vector<BadSample>{with("ij->i", "equation 'ij->i' has 1 operands, 2 are given"),
                                        with("ij,ik->jk", "dimension 'i' is 3 and 4"),
                                        with("ij,jk->il", "no operand has the dimension 'l' of the result"),
                                        with("ijl,jk->ik", "'ijl' does not name the dimensions of [3, 4]"),
                                        with("ij,jk->ii", "the result names 'i' twice"),
                                        with("i1,1k->ik", "'1' in equation 'i1,1k->ik' is no label")};
        }};

}  // namespace gmc::ops

namespace gmc {

Tensor einsum(const std::string& equation, const Tensors& operands) {
  const ops::Call call("einsum", operands.list);
  return call.result(graph::apply(ops::einsum_op, call.all(), {{"equation", equation}}));
}

}  // namespace gmc
