#include "src/io/hash.h"

#include "tests/io/temp_dir.h"

namespace tandem {
namespace {

/// Values of `xxhsum -H2` and `xxhsum -H3`.
TEST(Hash, KnownValues) {
    EXPECT_EQ(hash128({}).str(), "99aa06d3014798d86001c324468d497f");
    EXPECT_EQ(hash64({}), 0x2d06800538d394c2U);
}

TEST(Hash, PiecesDoNotMatter) {
    std::string text(3'000'000, '\0');
    for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 2654435761U >> 13U);
    const auto whole = hash128(std::as_bytes(std::span(text)));
    Hasher hasher;
    for (std::size_t at = 0, n = 1; at < text.size(); at += n, n = n * 3 + 1) hasher.update(std::string_view(text).substr(at, n));
    EXPECT_EQ(hasher.digest(), whole);
    const TempDir dir;
    put(dir / "x", text);
    EXPECT_EQ(hash_file(dir / "x"), whole);
    text[1234567] ^= 1;
    EXPECT_NE(hash128(std::as_bytes(std::span(text))), whole);
}

}  // namespace
}  // namespace tandem
