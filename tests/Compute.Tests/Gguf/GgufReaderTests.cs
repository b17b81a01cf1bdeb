using Lamina.Compute.Gguf;

namespace Lamina.Compute.Tests.Gguf;

public class GgufReaderTests
{
    private static InvalidDataException Rejects(byte[] file) => Assert.Throws<InvalidDataException>(() => GgufReader.Read(file, file.Length));

    [Theory]
    [InlineData(2u)]
    [InlineData(3u)]
    public void Header_HandMadeFile_IsReadFieldByField(uint version)
    {
        byte[] file = GgufBytes.Header(1, 2, version)
            .Text("general.architecture").U32(8).Text("llama")
            .Text("llama.block_count").U32(4).U32(7)
            .Tensor("w", [32, 2], 0, 0)
            .Pad().Raw(new byte[256]).ToArray();

        GgufHeader header = GgufReader.Read(file, file.Length);

        Assert.Equal((int)version, header.Version);
        Assert.Equal("llama", header.Metadata.GetString("general.architecture"));
        Assert.Equal(7, header.Metadata.GetInt32("llama.block_count"));
        GgufTensorInfo tensor = Assert.Single(header.Tensors);
        Assert.Equal(("w", GgmlType.F32, 32L, 2L, 256L), (tensor.Name, tensor.Type, tensor.Columns, tensor.Rows, tensor.ByteLength));
        Assert.Equal(file.Length - 256, header.DataOffset);
    }

    [Fact]
    public void Header_WrongMagic_SaysWhatItFound()
    {
        Assert.Contains("0x50415242", Rejects("PARB00000000000000000000"u8.ToArray()).Message);
    }

    [Theory]
    [InlineData(0u, "version 0")]
    [InlineData(1u, "version 1")]
    [InlineData(4u, "version 4")]
    [InlineData(0x03000000u, "big-endian")]
    [InlineData(0x02000000u, "big-endian")]
    public void Header_UnsupportedVersion_IsNamed(uint version, string expected)
    {
        Assert.Contains(expected, Rejects(GgufBytes.Header(0, 0, version).ToArray()).Message);
    }

    [Trait("Attack", "A1")]
    [Theory]
    [InlineData(2ul)]
    [InlineData((1ul << 31) - 1)]
    [InlineData(1ul << 31)]
    [InlineData(1ul << 32)]
    [InlineData((1ul << 63) - 1)]
    [InlineData(ulong.MaxValue)]
    public void Header_CountsBeyondTheFile_AreRejectedWithoutAllocating(ulong count)
    {
        byte[][] files =
        [
            GgufBytes.Header(count, 0).ToArray(),
            GgufBytes.Header(0, count).ToArray(),
            GgufBytes.Header(0, count).Text("a").U32(0).Raw([1]).ToArray(),
            GgufBytes.Header(count, 0).Tensor("a", [1], 0, 0).Pad().Raw(new byte[4]).ToArray(),
            GgufBytes.Header(0, 1).Text("a").U32(9).U32(0).U64(count).Raw([1]).ToArray(),
            GgufBytes.Header(0, 1).Text("a").U32(9).U32(8).U64(count).U64(0).ToArray(),
            GgufBytes.Header(0, 1).Text("a").U32(8).U64(count).Raw([1]).ToArray(),
            GgufBytes.Header(0, 1).U64(count).Raw([65]).U32(0).Raw([1]).ToArray(),
        ];
        foreach (byte[] file in files)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            Rejects(file);
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        }
    }

    /// <summary>Counts of none, one, one too few, the right number and one too many: read as many as claimed, or refused.</summary>
    [Trait("Attack", "A1")]
    [Fact]
    public void Header_CountsBesideTheRealOnes_AreTakenAtTheirWordOrRejected()
    {
        for (ulong tensors = 0; tensors <= 4; tensors++)
        {
            for (ulong pairs = 0; pairs <= 4; pairs++)
            {
                byte[] file = GgufBytes.Header(tensors, pairs)
                    .Text("a").U32(4).U32(1).Text("b").U32(4).U32(2).Text("c").U32(4).U32(3)
                    .Tensor("x", [8], 0, 0).Tensor("y", [8], 0, 32).Tensor("z", [8], 0, 64).Pad().Raw(new byte[96]).ToArray();
                long before = GC.GetAllocatedBytesForCurrentThread();
                GgufHeader? header = null;
                Exception? refusal = Record.Exception(() => header = GgufReader.Read(file, file.Length));
                Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
                if (header is not null)
                {
                    Assert.Equal((int)pairs, header.Metadata.Keys.Count());
                    Assert.Equal((int)tensors, header.Tensors.Count);
                }
                else
                {
                    // All pairs and any number of the tensors can be read, and any number of the pairs with nothing behind them.
                    Assert.IsType<InvalidDataException>(refusal);
                    Assert.False((pairs == 3 && tensors <= 3) || (pairs <= 3 && tensors == 0), $"{tensors} tensors and {pairs} pairs: {refusal.Message}");
                }
            }
        }
    }

    [Fact]
    public void Metadata_DuplicateKey_IsRejected() =>
        Assert.Contains("'a'", Rejects(GgufBytes.Header(0, 2).Text("a").U32(0).Raw([1]).Text("a").U32(0).Raw([1]).ToArray()).Message);

    [Trait("Attack", "A2")]
    [Fact]
    public void Metadata_KeyWithNulOrInvalidUtf8_IsRejected()
    {
        Assert.Contains("NUL", Rejects(GgufBytes.Header(0, 1).Text("a\0b").U32(0).Raw([1]).ToArray()).Message);
        Assert.Contains("UTF-8", Rejects(GgufBytes.Header(0, 1).U64(2).Raw([0xC3, 0x28]).U32(0).Raw([1]).ToArray()).Message);
    }

    [Trait("Attack", "A5")]
    [Theory]
    [InlineData(13u)]
    [InlineData(uint.MaxValue)]
    public void Metadata_UnknownValueType_IsRejected(uint type) => Rejects(GgufBytes.Header(0, 1).Text("a").U32(type).Raw(new byte[16]).ToArray());

    [Trait("Attack", "A5")]
    [Fact]
    public void Metadata_ArrayOfArrays_IsRejected() =>
        Assert.Contains("arrays inside an array", Rejects(GgufBytes.Header(0, 1).Text("a").U32(9).U32(9).U64(1).U32(9).U32(0).U64(0).ToArray()).Message);

    [Trait("Attack", "A6")]
    [Theory]
    [InlineData(0u)]
    [InlineData(1u)]
    [InlineData(3u)]
    [InlineData(48u)]
    [InlineData((1u << 16) + 1)]
    [InlineData(1u << 17)]
    [InlineData(1u << 31)]
    [InlineData(uint.MaxValue)]
    public void Alignment_NoPowerOfTwoFrom8To65536_IsRejected(uint alignment) =>
        Assert.Contains("general.alignment", Rejects(GgufBytes.Header(0, 1).Text("general.alignment").U32(4).U32(alignment).ToArray()).Message);

    [Trait("Attack", "A3")]
    [Theory]
    [InlineData(new ulong[0], 0u)]
    [InlineData(new ulong[] { 1, 1, 1, 1, 1 }, 0u)]
    [InlineData(new ulong[] { 0 }, 0u)]
    [InlineData(new ulong[] { 32, 0 }, 0u)]
    [InlineData(new ulong[] { 1ul << 63 }, 0u)]
    [InlineData(new[] { ulong.MaxValue }, 0u)]
    [InlineData(new ulong[] { 1ul << 62, 4 }, 0u)]
    [InlineData(new ulong[] { 1ul << 32, 1ul << 32 }, 0u)]
    [InlineData(new ulong[] { 1ul << 32, 1ul << 31, 1ul << 31, 1ul << 31 }, 0u)]
    [InlineData(new ulong[] { 1ul << 61 }, 0u)]
    [InlineData(new ulong[] { 31 }, 2u)]
    [InlineData(new ulong[] { 128 }, 12u)]
    [InlineData(new ulong[] { 32 }, 4u)]
    [InlineData(new ulong[] { 32 }, 99u)]
    [InlineData(new ulong[] { 32 }, uint.MaxValue)]
    [InlineData(new ulong[] { 65 }, 0u)]
    public void Tensor_ImpossibleShapeOrType_IsRejected(ulong[] dimensions, uint type) =>
        Rejects(GgufBytes.Header(1, 0).Tensor("w", dimensions, type, 0).Pad().Raw(new byte[256]).ToArray());

    [Trait("Attack", "A4")]
    [Theory]
    [InlineData(1ul)]
    [InlineData(16ul)]
    [InlineData(160ul)]
    [InlineData(256ul)]
    [InlineData(ulong.MaxValue)]
    [InlineData(ulong.MaxValue - 31)]
    [InlineData((1ul << 63) - 32)]
    public void Tensor_OffsetUnalignedOrBeyondTheFile_IsRejected(ulong offset) =>
        Rejects(GgufBytes.Header(1, 0).Tensor("w", [32], 0, offset).Pad().Raw(new byte[256]).ToArray());

    [Trait("Attack", "A4")]
    [Theory]
    [InlineData(0ul)]
    [InlineData(32ul)]
    [InlineData(96ul)]
    public void Tensor_OverlappingAnother_IsRejected(ulong offset) =>
        Assert.Contains("overlaps", Rejects(GgufBytes.Header(2, 0).Tensor("a", [32], 0, offset).Tensor("b", [32], 0, 0).Pad().Raw(new byte[256]).ToArray()).Message);

    [Trait("Attack", "A4")]
    [Fact]
    public void Tensor_DuplicateName_IsRejected() =>
        Assert.Contains("twice", Rejects(GgufBytes.Header(2, 0).Tensor("a", [8], 0, 0).Tensor("a", [8], 0, 32).Pad().Raw(new byte[64]).ToArray()).Message);

    [Trait("Attack", "A2")]
    [Fact]
    public void Tensor_NameOver64Bytes_IsRejected() => Rejects(GgufBytes.Header(1, 0).Tensor(new string('n', 65), [8], 0, 0).Pad().Raw(new byte[64]).ToArray());
}
