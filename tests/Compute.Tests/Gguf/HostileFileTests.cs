using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;
using CsCheck;
using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels;
using Lamina.Compute.Model;
using Lamina.Compute.Quantization;
using Lamina.Compute.Synthesis;
using Lamina.Compute.Tests.Fuzzing;
using Lamina.TestSupport;

namespace Lamina.Compute.Tests.Gguf;

/// <summary>Damaged and malicious files: each one loads or is refused in one sentence, and no read leaves the mapping.</summary>
public sealed class HostileFileTests(ITestOutputHelper output) : IDisposable
{
    private static readonly byte[] Model = SmallModel();
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    /// <summary>A complete model of some hundred kilobytes.</summary>
    private static byte[] SmallModel()
    {
        using var folder = new TemporaryFolder();
        SyntheticShape shape = SyntheticShape.Preset("tiny") with { Embedding = 64, Heads = 2, KvHeads = 1, FeedForward = 64, Layers = 1 };
        ModelSynthesizer.Write(folder["m"], new SynthesisOptions(shape, QuantizationMix.Q8_0));
        return File.ReadAllBytes(folder["m"]);
    }

    /// <summary>Reads what a loader would: all tensors' bytes, the shape and the vocabulary.</summary>
    private static void Exercise(GgufFile file)
    {
        long sum = 0;
        foreach (TensorView tensor in file.Tensors)
        {
            sum += tensor.RowBytes(0, (int)Math.Min(tensor.Rows, 4096))[0];
            sum += tensor.RowBytes(tensor.Rows - 1, 1)[^1];
        }

        Assert.True(sum >= 0);
        foreach (string key in file.Metadata.Keys)
        {
            file.Metadata.Find(key)!.Value.Describe();
        }

        ModelInspection inspection = ModelInspection.Of(file);
        if (inspection.Unsupported.Count == 0)
        {
            Answer(file);
        }

        ModelShape.FromGguf(file.Metadata);
    }

    /// <summary>Runs a model that passed every check.</summary>
    private static void Answer(GgufFile file)
    {
        ModelShape shape = ModelShape.FromGguf(file.Metadata);
        using Stage stage = Stage.Load(file, shape, new LayerRange(0, shape.LayerCount), new StageOptions { ContextLength = 32, KvBlocks = 1, MaxBatchRows = 4, MaxSequences = 1 });
        stage.Cache.Append(0, [0]);
        var batch = new StepBatch(4);
        batch.Add(1, 0, 0, wantsLogits: true);
        stage.Forward(batch, [], []);
        Assert.Equal(shape.VocabularySize, stage.Logits(0).Length);
    }

    /// <returns>True when the file loads.</returns>
    private bool LoadsOrIsRefused(byte[] bytes) => LoadsOrIsRefused(folder.Write("hostile.gguf", bytes));

    private static bool LoadsOrIsRefused(string path)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            using GgufFile file = GgufFile.Open(path);
            Exercise(file);
            return true;
        }
        catch (Exception e) when (e is InvalidDataException or NotSupportedException)
        {
            Assert.InRange(e.Message.Length, 10, 600);
            return false;
        }
        finally
        {
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 16 << 20);
        }
    }

    [Trait("Attack", "A4")]
    [Fact]
    public void Header_EveryPrefix_IsRefused()
    {
        GgufHeader header = GgufReader.Read(Model, Model.Length);
        // Beyond 4096 bytes the vocabulary's strings repeat one another.
        int stride = AttackScale.Cases(997, 1);
        for (int length = 0; length < Model.Length; length += length < 4096 || length > header.DataOffset - 2048 ? 1 : stride)
        {
            Assert.Throws<InvalidDataException>(() => GgufReader.Read(Model.AsSpan(0, length), length));
        }
    }

    [Trait("Attack", "A4")]
    [Fact]
    public void File_CutAnywhere_IsRefused()
    {
        string path = folder.Write("hostile.gguf", Model);
        int stride = AttackScale.Cases(4001, 1);
        for (int length = Model.Length - 1; length >= 0; length -= stride)
        {
            using (FileStream file = File.OpenWrite(path))
            {
                file.SetLength(length);
            }

            Assert.False(LoadsOrIsRefused(path));
        }

        Assert.False(LoadsOrIsRefused(Model[..^1]));
        Assert.True(LoadsOrIsRefused(Model));
        Assert.True(LoadsOrIsRefused([.. Model, 0, 1, 2]));
    }

    [Trait("Attack", "A15")]
    [Fact]
    public void File_AThousandMutations_LoadOrAreRefused()
    {
        int loaded = Enumerable.Range(0, 1000).Count(MutantLoads);
        // Both outcomes happen, or the test would show nothing.
        Assert.InRange(loaded, 50, 950);
    }

    /// <summary>For as many seconds as LAMINA_FUZZ_SECONDS says; a failure names its seed.</summary>
    [Trait("Attack", "A15")]
    [Fact]
    public void File_MutatedForAsLongAsAsked_LoadsOrIsRefused()
    {
        var run = new FuzzRun("gguf");
        Assert.SkipWhen(run.Seconds == 0, "fuzzes only when LAMINA_FUZZ_SECONDS says for how long");
        long loaded = 0;
        while (run.Continues(0))
        {
            int seed = unchecked(run.Seed + (int)run.Inputs);
            run.Try(() => loaded += MutantLoads(seed) ? 1 : 0, () => $"seed {seed}");
        }

        output.WriteLine($"{run}, {loaded} loaded");
    }

    private bool MutantLoads(int seed)
    {
        int headerLength = (int)GgufReader.Read(Model, Model.Length).DataOffset;
        var random = new Random(seed);
        byte[] mutated = [.. Model];
        for (int n = random.Next(1, 5); n > 0; n--)
        {
            Mutate(mutated, random, headerLength);
        }

        return LoadsOrIsRefused(mutated);
    }

    /// <summary>Flips a bit, plants an extreme number, or moves a piece; the first and last kilobytes of the header hold its numbers.</summary>
    private static void Mutate(byte[] file, Random random, int headerLength)
    {
        int at = random.Next(3) switch
        {
            0 => random.Next(1024),
            1 => random.Next(headerLength - 1024, headerLength - 8),
            _ => random.Next(headerLength - 8),
        };
        ulong[] extremes = [0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1ul << 62, (1ul << 63) - 1, 1ul << 63, ulong.MaxValue];
        switch (random.Next(4))
        {
            case 0:
                file[at] ^= (byte)(1 << random.Next(8));
                break;
            case 1:
                BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(at), extremes[random.Next(extremes.Length)]);
                break;
            case 2:
                BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(at), (uint)extremes[random.Next(5)]);
                break;
            default:
                int length = Math.Min(random.Next(1, 64), headerLength - at);
                file.AsSpan(random.Next(headerLength - length), length).ToArray().CopyTo(file, at);
                break;
        }
    }

    /// <summary>The size check against unbounded arithmetic: never a smaller number than the true one.</summary>
    [Trait("Attack", "A3")]
    [Fact]
    public void TensorSize_AnyShape_IsExactOrRefused()
    {
        long[] edges = [1, 2, 3, 31, 32, 33, 255, 256, (1L << 31) - 1, 1L << 31, (1L << 31) + 1, 1L << 32, 1L << 61, 1L << 62, long.MaxValue / 4, long.MaxValue - 3, long.MaxValue];
        GgmlType[] types = Enum.GetValues<GgmlType>();
        Gen<long> extent = Gen.OneOf(Gen.Int[0, edges.Length - 1].Select(i => edges[i]), Gen.Long[1, long.MaxValue], Gen.Long[1, 1 << 20].Select(value => value * 32));
        Gen.Select(Gen.Int[0, types.Length - 1].Select(i => types[i]), extent.Array[1, 4]).Sample(
            (type, dimensions) =>
            {
                BigInteger elements = dimensions.Aggregate(BigInteger.One, (product, value) => product * value);
                BigInteger bytes = elements / GgmlTypes.BlockElements(type) * GgmlTypes.BlockBytes(type);
                bool possible = dimensions[0] % GgmlTypes.BlockElements(type) == 0 && elements <= long.MaxValue && bytes <= long.MaxValue;
                try
                {
                    GgmlTensorSize.Check("t", type, dimensions);
                    return possible && new GgufTensorInfo("t", type, dimensions).ByteLength == bytes;
                }
                catch (InvalidDataException)
                {
                    return !possible;
                }
            },
            iter: AttackScale.Cases(100_000, 1_000_000));
    }

    /// <summary>A tensor of more than 2^31 elements in a file with holes: row addresses are computed in 64 bits.</summary>
    [Trait("Attack", "A8")]
    [Fact]
    public void Tensor_BeyondTwoGigabytes_IsAddressedIn64Bits()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs a file system with sparse files");
        const long Rows = 3L << 20;
        string path = folder["sparse.gguf"];
        byte[] head = GgufBytes.Header(1, 0).Tensor("w", [1024, (ulong)Rows], (uint)GgmlType.I8, 0).Pad().ToArray();
        using (FileStream stream = File.Create(path))
        {
            stream.Write(head);
            stream.SetLength(head.Length + (Rows * 1024));
            stream.Position = stream.Length - 1;
            stream.WriteByte(7);
        }

        using GgufFile file = GgufFile.Open(path);
        Assert.Equal(7, file.Tensors[0].RowBytes(Rows - 1, 1)[^1]);
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Tensors[0].RowBytes(Rows, 1).Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Tensors[0].RowBytes(long.MaxValue, 1).Length);
    }

    /// <summary>The packer of a tensor of 3 * 2^30 elements, given its last rows.</summary>
    [Trait("Attack", "A8")]
    [Fact]
    public void Pack_RowsBeyondTwoToTheThirtyFirstElements_AreThoseOfTheFile()
    {
        const int Columns = 1024, Rows = 3 << 20, Taken = 20, RowBytes = Columns / 32 * 34;
        string path = folder["sparse.gguf"];
        byte[] head = GgufBytes.Header(1, 0).Tensor("w", [Columns, Rows], (uint)GgmlType.Q8_0, 0).Pad().ToArray();
        byte[] row = new byte[RowBytes];
        for (int block = 0; block < RowBytes; block += 34)
        {
            BitConverter.TryWriteBytes(row.AsSpan(block), (Half)0.5f);
            row.AsSpan(block + 2, 32).Fill(3);
        }

        using (FileStream stream = File.Create(path))
        {
            stream.Write(head);
            stream.SetLength(head.Length + ((long)Rows * RowBytes));
            stream.Position = stream.Length - (2 * RowBytes);
            stream.Write(row);
        }

        using GgufFile file = GgufFile.Open(path);
        using var team = new WorkerTeam(1);
        using WeightMatrix matrix = WeightMatrix.Pack(team, new WeightPart(file.Tensors[0], Rows - Taken, Taken));
        float[] values = new float[Columns];
        for (int i = 0; i < Taken; i++)
        {
            matrix.DequantizeRow(i, values);
            Assert.True(values.AsSpan().IndexOfAnyExcept(i == Taken - 2 ? 1.5f : 0f) < 0, $"row {Rows - Taken + i}: {values[0]}");
        }

        Assert.Throws<ArgumentException>(() => WeightMatrix.Pack(team, new WeightPart(file.Tensors[0], Rows - Taken, Taken + 1)));
    }

    /// <summary>A whole product over them: 2^31 elements and two groups of rows, of which but the last row is zero.</summary>
    [Trait("Attack", "A8")]
    [Fact]
    public void Multiply_MoreThanTwoToTheThirtyFirstElements_ReadsTheLastRow()
    {
        Assert.SkipUnless(AttackScale.IsFull, "the packed matrix takes more than a gigabyte: only when LAMINA_ATTACK_SCALE is full");
        Assert.SkipUnless(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes > 6L << 30, "needs more than six gigabytes of memory");
        const int Columns = 4096, Rows = (1 << 19) + 32, RowBytes = Columns / 32 * 18;
        string path = folder["sparse.gguf"];
        byte[] head = GgufBytes.Header(1, 0).Tensor("w", [Columns, Rows], (uint)GgmlType.Q4_0, 0).Pad().ToArray();
        byte[] row = new byte[RowBytes];
        for (int block = 0; block < RowBytes; block += 18)
        {
            // Scale 0.5 times nibbles of 10 - 8 = 2.
            BitConverter.TryWriteBytes(row.AsSpan(block), (Half)0.5f);
            row.AsSpan(block + 2, 16).Fill(0xAA);
        }

        using (FileStream stream = File.Create(path))
        {
            stream.Write(head);
            stream.SetLength(head.Length + ((long)Rows * RowBytes));
            stream.Position = stream.Length - RowBytes;
            stream.Write(row);
        }

        using GgufFile file = GgufFile.Open(path);
        using var team = new WorkerTeam(1);
        using WeightMatrix matrix = WeightMatrix.Pack(team, file.Tensors[0]);
        Assert.True(matrix.Bytes > 1L << 30);
        using var x = new ActivationRows(1, Columns);
        float[] input = new float[Columns], output = new float[Rows];
        input.AsSpan().Fill(1);
        unsafe
        {
            fixed (float* from = input, to = output)
            {
                x.Set(from, Columns, 1, Columns);
                MatMul.Multiply(team, matrix, x, to, Rows);
            }
        }

        Assert.Equal(Rows - 1, output.AsSpan().IndexOfAnyExcept(0f));
        Assert.Equal(Columns, output[^1]);
    }

    [Trait("Attack", "A10")]
    [Fact]
    public void Vocabulary_OfTwoMillionTokens_IsWalkedOnceAndDecodedOnDemand()
    {
        byte[] file = GgufWriter.ToBytes(new GgufMetadataBuilder().Set("tokenizer.ggml.tokens", Enumerable.Range(0, 2_000_000).Select(i => $"{i:x}").ToArray()).Build(), []);
        long before = GC.GetAllocatedBytesForCurrentThread();
        GgufMetadata metadata = GgufReader.ReadMetadata(file);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, file.Length + (1 << 20));
        Assert.Equal(2_000_000, metadata.FindCount("tokenizer.ggml.tokens"));
    }

    [Trait("Attack", "A2")]
    [Fact]
    public void Strings_BeyondTheirLimits_AreRefused()
    {
        var limits = new GgufLimits { StringBytes = 10, ArrayStringBytes = 5, KeyBytes = 4, ArrayElements = 3 };
        void Rejects(GgufBytes file) => Assert.Throws<InvalidDataException>(() => GgufReader.Read(file.ToArray(), file.ToArray().Length, limits));
        Rejects(GgufBytes.Header(0, 1).Text("k").U32(8).Text("eleven char"));
        Rejects(GgufBytes.Header(0, 1).Text("k").U32(9).U32(8).U64(1).Text("sixchr"));
        Rejects(GgufBytes.Header(0, 1).Text("k").U32(9).U32(0).U64(4).Raw(new byte[4]));
        Rejects(GgufBytes.Header(0, 1).Text("fives").U32(0).Raw(new byte[1]));
    }

    [Trait("Attack", "A4")]
    [Fact]
    public void RowBytes_OfAMappedFile_NeverLeavesIt()
    {
        using GgufFile file = GgufFile.Open(folder.Write("m.gguf", Model));
        nint start = file.Tensors.Min(tensor => tensor.Address);
        foreach (TensorView tensor in file.Tensors)
        {
            ReadOnlySpan<byte> last = tensor.RowBytes(tensor.Rows - 1, 1);
            nint end = tensor.Address + (nint)tensor.ByteLength;
            unsafe
            {
                Assert.Equal(end, (nint)System.Runtime.CompilerServices.Unsafe.AsPointer(ref MemoryMarshal.GetReference(last)) + last.Length);
            }

            Assert.InRange(end - start, 0, file.FileLength);
        }
    }
}
