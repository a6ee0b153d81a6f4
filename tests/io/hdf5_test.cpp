#include "src/io/hdf5_file.h"

#include <fcntl.h>

#include <random>

#include "src/io/files.h"
#include "tests/io/temp_dir.h"

namespace tandem {
namespace {

void write_sample(const std::filesystem::path& path) {
    auto file = Hdf5File::create(path);
    file.set_attribute("", "format", std::string("tokens"));
    file.set_attribute("", "version", std::int64_t{3});
    file.set_attribute("", "rate", 0.125);
    file.set_attribute("", "empty", std::string());
    const std::vector<std::int32_t> ids = {5, 6, 7, 8};
    file.write_all("data/ids", std::span<const std::int32_t>(ids));
    file.create_dataset("w/bf16", DType::BF16, Shape{3, 4});
    std::vector<BFloat16> rows;
    for (int i = 0; i < 12; ++i) rows.emplace_back(static_cast<float>(i));
    file.write("w/bf16", DType::BF16, Shape{0, 0}, Shape{2, 4}, rows.data());
    file.write("w/bf16", DType::BF16, Shape{2, 0}, Shape{1, 4}, rows.data() + 8);
    file.set_attribute("w/bf16", "name", std::string("old"));
    file.set_attribute("w/bf16", "name", std::string("model.embed"));
    file.create_dataset("none", DType::F64, Shape{0});
    file.create_group("empty/group");
    EXPECT_FALSE(std::filesystem::exists(path));
    file.commit();
}

TEST(Hdf5, RoundTrip) {
    const TempDir dir;
    write_sample(dir / "x.h5");
    EXPECT_EQ(dir.entries(), 1U);
    const auto file = Hdf5File::open(dir / "x.h5");
    EXPECT_EQ(file.read_all<std::int32_t>("data/ids"), (std::vector<std::int32_t>{5, 6, 7, 8}));
    std::vector<std::int32_t> two(2);
    file.read("data/ids", 1, std::span(two));
    EXPECT_EQ(two, (std::vector<std::int32_t>{6, 7}));
    const auto info = file.dataset("w/bf16");
    EXPECT_EQ(info.dtype, DType::BF16);
    EXPECT_EQ(info.shape, (Shape{3, 4}));
    std::vector<BFloat16> box(4);
    file.read("w/bf16", DType::BF16, Shape{1, 1}, Shape{2, 2}, box.data());
    EXPECT_EQ(static_cast<float>(box[0]), 5.0F);
    EXPECT_EQ(static_cast<float>(box[3]), 10.0F);
    EXPECT_TRUE(file.read_all<double>("none").empty());
    EXPECT_EQ(file.string_attribute("", "format"), "tokens");
    EXPECT_EQ(file.string_attribute("", "empty"), "");
    EXPECT_EQ(file.integer_attribute("", "version"), 3);
    EXPECT_EQ(file.number_attribute("", "rate"), 0.125);
    EXPECT_EQ(file.string_attribute("w/bf16", "name"), "model.embed");
    EXPECT_EQ(file.children(), (std::vector<std::string>{"data", "empty", "none", "w"}));
    EXPECT_TRUE(file.contains("empty/group"));
    EXPECT_FALSE(file.contains("data/ids/x"));
    EXPECT_FALSE(file.contains("nothing/at/all"));
    EXPECT_EQ(hdf5_version().substr(0, 2), "1.");
}

/// The place of a dataset is known before its bytes are: they may be written without HDF5.
TEST(Hdf5, BytesWrittenAtTheKnownOffset) {
    const TempDir dir;
    auto file = Hdf5File::create(dir / "x.h5");
    file.create_dataset("x", DType::F32, Shape{4});
    const auto info = file.dataset("x");
    ASSERT_GT(info.offset, 0U);
    file.close();
    const std::array<float, 4> values = {1, 2, 3, 4};
    {
        const FileDescriptor fd(::open(file.temporary().c_str(), O_WRONLY));
        ASSERT_EQ(::pwrite(fd.get(), values.data(), info.bytes(), static_cast<off_t>(info.offset)), 16);
    }
    file.commit();
    EXPECT_EQ(Hdf5File::open(dir / "x.h5").read_all<float>("x"), (std::vector<float>{1, 2, 3, 4}));
}

TEST(Hdf5, NotCommittedLeavesNothing) {
    const TempDir dir;
    {
        auto file = Hdf5File::create(dir / "x.h5");
        file.create_dataset("x", DType::F32, Shape{4});
    }
    EXPECT_EQ(dir.entries(), 0U);
}

TEST(Hdf5, Errors) {
    const TempDir dir;
    write_sample(dir / "x.h5");
    expect_error(Failure::Configuration, {"missing.h5", "No such file"}, [&] { (void)Hdf5File::open(dir / "missing.h5"); });
    expect_error(Failure::Configuration, {"nowhere", "No such file"}, [&] { (void)Hdf5File::create(dir.path() / "nowhere" / "x.h5"); });
    put(dir / "text.h5", "this is text");
    expect_error(Failure::Input, {"text.h5", "not an HDF5 file"}, [&] { (void)Hdf5File::open(dir / "text.h5"); });
    put(dir / "empty.h5", "");
    expect_error(Failure::Input, {"empty.h5", "not an HDF5 file"}, [&] { (void)Hdf5File::open(dir / "empty.h5"); });
    const auto bytes = slurp(dir / "x.h5");
    put(dir / "cut.h5", bytes.substr(0, bytes.size() / 2));
    expect_error(Failure::Input, {"cut.h5", "truncated"}, [&] { (void)Hdf5File::open(dir / "cut.h5"); });

    const auto file = Hdf5File::open(dir / "x.h5");
    expect_error(Failure::Input, {"x.h5", "no dataset 'absent'"}, [&] { (void)file.dataset("absent"); });
    expect_error(Failure::Input, {"'data' is not a dataset"}, [&] { (void)file.dataset("data"); });
    expect_error(Failure::Input, {"'data/ids'", "int32", "fp32"}, [&] { (void)file.read_all<float>("data/ids"); });
    std::vector<std::int32_t> many(3);
    expect_error(Failure::Input, {"'data/ids'", "[4]", "[3]", "[2]"}, [&] { file.read("data/ids", 2, std::span(many)); });
    expect_error(Failure::Input, {"@absent", "missing"}, [&] { (void)file.integer_attribute("", "absent"); });
    expect_error(Failure::Input, {"@format", "not an integer"}, [&] { (void)file.integer_attribute("", "format"); });
    expect_error(Failure::Input, {"@version", "not a string"}, [&] { (void)file.string_attribute("", "version"); });
}

/// Every cut is refused at opening, never read as something shorter.
TEST(Hdf5, EveryTruncationIsRefused) {
    const TempDir dir;
    write_sample(dir / "x.h5");
    const auto bytes = slurp(dir / "x.h5");
    for (std::size_t n = 0; n < bytes.size(); n += 97) {
        put(dir / "cut.h5", bytes.substr(0, n));
        EXPECT_THROW((void)Hdf5File::open(dir / "cut.h5"), Error) << n;
    }
}

}  // namespace
}  // namespace tandem
