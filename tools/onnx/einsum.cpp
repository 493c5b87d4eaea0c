// Sums of products by names of dimensions; products of two operands at a time become matrix products.
#include "tools/onnx/build.h"

#include <algorithm>
#include <numeric>

namespace gmc::onnx {
namespace {

using List = std::vector<int64_t>;

// A tensor whose dimension i is called labels[i]. The dimensions of an ellipsis are called by digits, from the last.
struct Term {
  Var x;
  std::string labels;
};

constexpr std::string_view digits = "0123456789";

// The labels of one operand, `...` spelled out for `rank` dimensions.
std::string spelled(const std::string& text, int64_t rank) {
  const size_t dots = text.find("...");
  std::string labels = text;
  if (dots != std::string::npos) {
    const int64_t more = rank - std::ssize(text) + 3;
    if (more < 0 || more > 10) fail("attribute 'equation': '{}' for {} dimensions", plain_name(text), rank);
    std::string spread;
    for (int64_t i = more; i-- > 0;) spread += digits[static_cast<size_t>(i)];
    labels.replace(dots, 3, spread);
  }
  if (std::ssize(labels) != rank) fail("attribute 'equation': '{}' for {} dimensions", plain_name(text), rank);
  for (const char l : labels)
    if (!isalpha(static_cast<unsigned char>(l)) && digits.find(l) == std::string_view::npos)
      fail("attribute 'equation': '{}'", plain_name(text));
  return labels;
}

// A label twice in one operand: its diagonal.
Term diagonal(Term t) {
  for (size_t i = 0; i < t.labels.size(); ++i) {
    const size_t j = t.labels.find(t.labels[i], i + 1);
    if (j == std::string::npos) continue;
    const Shape shape = t.x.shape();
    if (shape[i] != shape[j]) fail("dimensions called '{}' of {} and {}", t.labels[i], shape[i], shape[j]);
    Shape to = shape;
    to.erase(to.begin() + static_cast<ptrdiff_t>(j));
    List dims(shape.size());
    for (size_t d = 0; d < dims.size(); ++d) dims[d] = d == j ? -1 : static_cast<int64_t>(d > j ? d - 1 : d);
    const Var at = graph::index(*t.x.graph, static_cast<int64_t>(i), {DType::i64, to});
    t.x = graph::gather(t.x, {at}, {static_cast<int64_t>(j)}, dims);
    t.labels.erase(j, 1);
    return diagonal(t);
  }
  return t;
}

int64_t extent(const Term& t, char label) {
  const size_t i = t.labels.find(label);
  return i == std::string::npos ? 1 : t.x.shape()[i];
}

// Sums the dimensions that nobody asks for any more.
Term summed(Term t, const std::string& wanted) {
  List axes;
  std::string kept;
  for (size_t i = 0; i < t.labels.size(); ++i) {
    if (wanted.find(t.labels[i]) == std::string::npos)
      axes.push_back(static_cast<int64_t>(i));
    else
      kept += t.labels[i];
  }
  if (!axes.empty()) t.x = graph::sum(t.x, axes);
  t.labels = kept;
  return t;
}

// In this order of labels; those that the term does not have get extent 1.
Var ordered(const Term& t, const std::string& order) {
  List perm;
  Shape shape;
  for (const char l : order) {
    const size_t i = t.labels.find(l);
    if (i != std::string::npos) perm.push_back(static_cast<int64_t>(i));
    shape.push_back(extent(t, l));
  }
  return graph::reshape(graph::transpose(t.x, perm), shape);
}

Term multiplied(Term a, Term b, const std::string& wanted) {
  // What only one of them has and nobody wants goes first.
  a = summed(a, wanted + b.labels);
  b = summed(b, wanted + a.labels);
  std::string batch, inner, left, right;
  for (const char l : a.labels) {
    if (b.labels.find(l) == std::string::npos) {
      left += l;
    } else if (extent(a, l) != extent(b, l) && extent(a, l) != 1 && extent(b, l) != 1) {
      fail("dimensions called '{}' of {} and {}", l, extent(a, l), extent(b, l));
    } else {
      (wanted.find(l) == std::string::npos ? inner : batch) += l;
    }
  }
  for (const char l : b.labels)
    if (a.labels.find(l) == std::string::npos) right += l;
  const auto size = [&](const std::string& labels) {
    Shape s;
    for (const char l : labels) s.push_back(std::max(extent(a, l), extent(b, l)));
    return s;
  };
  // Extents of 1 that meet others are spread.
  const auto matrices = [&](const Term& t, const std::string& rows, const std::string& columns) {
    const std::string order = batch + rows + columns;
    const Var spread = graph::broadcast_to(ordered(t, order), size(order));
    return graph::reshape(spread,
                          {element_count(size(batch)), element_count(size(rows)), element_count(size(columns))});
  };
  Var x = matrices(a, left, inner), y = matrices(b, inner, right);
  const bool single = element_count(size(batch)) == 1;
  if (single) x = squeezed(x, 0), y = squeezed(y, 0);
  return {graph::reshape(graph::matmul(x, y), size(batch + left + right)), batch + left + right};
}

std::vector<Value> einsum(Call& c) {
  std::string equation;
  for (const char l : c.text("equation", ""))
    if (l != ' ') equation += l;
  const size_t arrow = equation.find("->");
  std::vector<std::string> texts;
  std::string input = equation.substr(0, arrow);
  for (size_t at = 0;;) {
    const size_t comma = input.find(',', at);
    texts.push_back(input.substr(at, comma == std::string::npos ? comma : comma - at));
    if (comma == std::string::npos) break;
    at = comma + 1;
  }
  if (texts.size() != c.count()) fail("attribute 'equation' has {} operands, got {}", texts.size(), c.count());
  std::vector<Term> terms;
  std::string all, spread;
  for (size_t i = 0; i < texts.size(); ++i) {
    terms.push_back({c[i], spelled(texts[i], c.rank(i))});
    all += terms.back().labels;
    for (const char l : terms.back().labels)
      if (digits.find(l) != std::string_view::npos && spread.find(l) == std::string::npos) spread += l;
  }
  std::sort(spread.rbegin(), spread.rend());
  std::string wanted;
  if (arrow == std::string::npos) {
    // As NumPy: what occurs once, in alphabetical order, behind the ellipsis.
    std::string once;
    for (const char l : all)
      if (isalpha(static_cast<unsigned char>(l)) && std::count(all.begin(), all.end(), l) == 1) once += l;
    std::sort(once.begin(), once.end());
    wanted = spread + once;
  } else {
    wanted = equation.substr(arrow + 2);
    if (const size_t dots = wanted.find("..."); dots != std::string::npos) wanted.replace(dots, 3, spread);
  }
  for (size_t i = 0; i < wanted.size(); ++i)
    if (all.find(wanted[i]) == std::string::npos || wanted.find(wanted[i], i + 1) != std::string::npos)
      fail("attribute 'equation': the result '{}'", plain_name(wanted));
  for (Term& t : terms) t = diagonal(t);
  Term out = terms[0];
  for (size_t i = 1; i < terms.size(); ++i) {
    std::string later = wanted;
    for (size_t k = i + 1; k < terms.size(); ++k) later += terms[k].labels;
    out = multiplied(out, terms[i], later);
  }
  return one(ordered(summed(out, wanted), wanted));
}

// Along the first row; of matrices [.., n, n] up to 4 x 4.
Var determinant(Var x) {
  const auto rank = std::ssize(x.shape());
  const int64_t n = x.shape().back();
  if (n == 1) return squeezed(squeezed(x, rank - 1), rank - 2);
  Var out;
  const Var below = graph::slice(x, rank - 2, 1, n);
  for (int64_t j = 0; j < n; ++j) {
    std::vector<int64_t> others;
    for (int64_t k = 0; k < n; ++k)
      if (k != j) others.push_back(k);
    const Var top = graph::slice(graph::slice(x, rank - 2, 0, 1), rank - 1, j, j + 1);
    const Var term = squeezed(squeezed(top, rank - 1), rank - 2) * determinant(take(below, others, rank - 1));
    out = !out.valid() ? term : j % 2 == 0 ? out + term : out - term;
  }
  return out;
}

std::vector<Value> det(Call& c) {
  const Shape shape = c[0].shape();
  if (shape.size() < 2 || shape.back() != shape[shape.size() - 2])
    fail("expected square matrices, got {}", to_string(shape));
  if (shape.back() < 1 || shape.back() > 4) unsupported("determinants of {} x {}", shape.back(), shape.back());
  return one(determinant(c[0]));
}

constexpr Row rows[] = {{"Det", det}, {"Einsum", einsum}};

}  // namespace

std::span<const Row> einsum_rows() { return rows; }

}  // namespace gmc::onnx
