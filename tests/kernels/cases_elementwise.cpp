#include <fmt/format.h>

#include "kernels/base/philox.h"
#include "kernels/ops/bias.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/embedding.h"
#include "tests/kernels/op_case.h"

namespace tandem::test {

namespace {

struct Matrix {
    std::int64_t rows, columns, padding;
    [[nodiscard]] Shape shape() const { return {rows, columns}; }
    [[nodiscard]] std::string str() const { return fmt::format("{}x{}{}", rows, columns, padding ? "_strided" : ""); }
};

constexpr Matrix kMatrices[] = {{1, 1, 0},
                                {7, 33, 0},
                                {40, 129, 0},
                                {5, 70, 3},
                                // Rows of aligned accesses of 16 bytes, and such with a tail.
                                {9, 40, 8},
                                {3, 44, 4}};

void add_arithmetic(std::vector<OpCase>& cases, const Matrix& s) {
    const auto pad = s.padding;
    cases.push_back({"elementwise", "zero_" + s.str(), {input("x", s.shape(), pad)}, [](Context& ctx, const Operands& o) {
                         ops::zero(ctx, o.at("x"));
                     }});
    cases.push_back({"elementwise",
                     "cast_" + s.str(),
                     {input("x", s.shape(), pad),
                      output("wide", s.shape(), 0, Kind::Accumulation),
                      output("narrow", s.shape(), pad),
                      output("copy", s.shape()),
                      {"ids", {s.rows, s.columns}, Kind::Int32, below(1000)},
                      output("ids_copy", s.shape(), pad, Kind::Int32)},
                     [](Context& ctx, const Operands& o) {
                         ops::cast(ctx, o.at("x"), o.at("wide"));
                         ops::axpy(ctx, 0.3, o.at("x"), o.at("wide"));
                         ops::cast(ctx, o.at("wide"), o.at("narrow"));
                         ops::cast(ctx, o.at("x"), o.at("copy"));
                         ops::cast(ctx, o.at("ids"), o.at("ids_copy"));
                     }});
    cases.push_back({"elementwise",
                     "add_" + s.str(),
                     {input("a", s.shape(), pad), input("b", s.shape()), output("y", s.shape(), pad), input("in_place", s.shape())},
                     [](Context& ctx, const Operands& o) {
                         ops::add(ctx, o.at("a"), o.at("b"), o.at("y"));
                         ops::add(ctx, o.at("in_place"), o.at("y"), o.at("in_place"));
                         ops::add(ctx, o.at("a"), o.at("b"), o.at("b"));
                     }});
    cases.push_back({"elementwise",
                     "axpy_" + s.str(),
                     {input("x", s.shape(), pad), input("y", s.shape()), accumulator("sum", s.shape()), input("narrow", s.shape(), pad)},
                     [](Context& ctx, const Operands& o) {
                         ops::axpy(ctx, -0.7, o.at("x"), o.at("y"));
                         ops::axpy(ctx, 1.0, o.at("x"), o.at("sum"));
                         ops::axpy(ctx, 0.1, o.at("sum"), o.at("narrow"));
                     }});
}

void add_bias(std::vector<OpCase>& cases, const Matrix& s) {
    cases.push_back({"bias",
                     "bias_" + s.str(),
                     {input("x", s.shape()), input("b", {s.columns}), output("y", s.shape(), s.padding), input("dy", s.shape(), s.padding),
                      output("dx", s.shape()), accumulator("db", {s.columns})},
                     [](Context& ctx, const Operands& o) {
                         ops::cast(ctx, o.at("x"), o.at("y"));
                         ops::bias_add(ctx, o.at("b"), o.at("y"));
                     },
                     [](Context& ctx, const Operands& o) {
                         ops::cast(ctx, o.at("dy"), o.at("dx"));
                         ops::bias_backward(ctx, o.at("dy"), o.at("db"));
                     },
                     {"y"},
                     {"x", "b"},
                     {"b"}});
}

void add_dropout(std::vector<OpCase>& cases, const Matrix& s, double p, std::int64_t first_column = 0) {
    const DropoutMask mask{hash_name(s.str()), p, first_column};
    cases.push_back({"dropout",
                     fmt::format("dropout_{}_{}{}", static_cast<int>(100 * p), s.str(), first_column > 0 ? "_slice" : ""),
                     {input("x", s.shape(), s.padding),
                      {"row_ids", {s.rows}, Kind::Int64, below(std::int64_t{1} << 50U)},
                      output("y", s.shape()),
                      input("dy", s.shape(), s.padding),
                      output("dx", s.shape())},
                     [=](Context& ctx, const Operands& o) { ops::dropout(ctx, mask, o.at("row_ids"), o.at("x"), o.at("y")); },
                     [=](Context& ctx, const Operands& o) {  // in place
                         ops::cast(ctx, o.at("dy"), o.at("dx"));
                         ops::dropout(ctx, mask, o.at("row_ids"), o.at("dx"), o.at("dx"));
                     },
                     {"y"},
                     {"x"}});
}

/// p is the very number that one element draws: it is kept.
void add_dropout_at_the_limit(std::vector<OpCase>& cases) {
    const std::uint64_t key = hash_name(std::string_view("limit")), row = 5;
    const DropoutMask mask{key, uniform01(philox_word(key, row, 2)), 0};
    cases.push_back({"dropout",
                     "dropout_at_the_limit",
                     {input("x", {1, 4}), {"row_ids", {1}, Kind::Int64, constant(static_cast<double>(row))}, output("y", {1, 4})},
                     [=](Context& ctx, const Operands& o) { ops::dropout(ctx, mask, o.at("row_ids"), o.at("x"), o.at("y")); }});
}

/// With the whole table, or with a part of it: some ids are then -1.
void add_embedding(std::vector<OpCase>& cases, std::int64_t vocabulary, const Matrix& s, bool part = false) {
    const Fill ids = [=](std::int64_t i, std::uint64_t w) { return part && i % 3 != 1 ? -1.0 : below(vocabulary)(i, w); };
    cases.push_back({"embedding",
                     fmt::format("embedding_{}_{}{}", vocabulary, s.str(), part ? "_part" : ""),
                     {input("table", {vocabulary, s.columns}, s.padding),
                      {"ids", {s.rows}, Kind::Int32, ids},
                      output("y", s.shape(), s.padding),
                      input("dy", s.shape(), s.padding),
                      accumulator("dtable", {vocabulary, s.columns})},
                     [](Context& ctx, const Operands& o) { ops::embedding(ctx, o.at("table"), o.at("ids"), o.at("y")); },
                     [](Context& ctx, const Operands& o) { ops::embedding_backward(ctx, o.at("dy"), o.at("ids"), o.at("dtable")); },
                     {"y"},
                     {"table"},
                     {"table"}});
}

/// Every third row of x, last first; the gradient goes back to the same rows of zeros.
void add_rows(std::vector<OpCase>& cases, const Matrix& s) {
    std::vector<double> index;
    for (std::int64_t i = s.rows - 1; i >= 0; i -= 3) index.push_back(static_cast<double>(i));
    const auto m = static_cast<std::int64_t>(index.size());
    cases.push_back({"embedding",
                     "rows_" + s.str(),
                     {input("x", s.shape(), s.padding),
                      {"index", {m}, Kind::Int32, values(index)},
                      output("y", {m, s.columns}, s.padding),
                      input("dy", {m, s.columns}, s.padding),
                      output("dx", s.shape(), s.padding),
                      input("kept", s.shape())},
                     [](Context& ctx, const Operands& o) { ops::gather_rows(ctx, o.at("x"), o.at("index"), o.at("y")); },
                     [](Context& ctx, const Operands& o) {
                         ops::zero(ctx, o.at("dx"));
                         ops::scatter_rows(ctx, o.at("dy"), o.at("index"), o.at("dx"));
                         ops::scatter_rows(ctx, o.at("dy"), o.at("index"), o.at("kept"));
                     },
                     {"y"},
                     {"x"}});
}

}  // namespace

std::vector<OpCase> elementwise_cases() {
    std::vector<OpCase> cases;
    for (const auto& s : kMatrices) {
        add_arithmetic(cases, s);
        add_bias(cases, s);
        for (const double p : {0.0, 0.1, 0.5}) add_dropout(cases, s, p);
        add_dropout(cases, s, 0.3, 4099);
        add_dropout(cases, s, 0.2, (std::int64_t{1} << 32U) - 20);  // counters of more than a word
        add_embedding(cases, 11, s);
        add_embedding(cases, 11, s, true);
        add_rows(cases, s);
    }
    add_dropout_at_the_limit(cases);
    add_embedding(cases, 301, {64, 33, 0});
    add_embedding(cases, 1, {100, 20, 0});        // one id for all
    add_embedding(cases, 5, {2100, 3, 0}, true);  // long runs, more tokens than are compared at once
    add_embedding(cases, 700, {1030, 8, 0});      // many short ones
    add_embedding(cases, 7, {6, 2056, 0});        // more columns than a block has
    add_bias(cases, {130, 33, 0});                // two ranges of rows
    add_bias(cases, {333, 520, 8});               // several, of several blocks
    add_rows(cases, {100, 3, 2});
    add_rows(cases, {10, 1048, 0});
    return cases;
}

}  // namespace tandem::test
