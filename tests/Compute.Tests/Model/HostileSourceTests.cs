using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.TestSupport;

namespace Lamina.Compute.Tests.Model;

/// <summary>Tensors whose source fails at any moment, or ends where nothing may be read.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed partial class HostileSourceTests
{
    /// <summary>Some leaked embeddings; the runtime itself maps a stack or a heap now and then.</summary>
    private const long Slack = 32 << 20;

    private static readonly StageOptions s_options = new() { ContextLength = 32, KvBlocks = 1, MaxBatchRows = 4, MaxSequences = 1 };

    /// <summary>As a disk does that fails while a model loads: at each of the questions that loading asks in turn. Nothing remains mapped or open.</summary>
    [Trait("Attack", "A9")]
    [Fact]
    public void Load_SourceThatFailsAtAnyAsk_ThrowsAndLeavesNothing()
    {
        // An embedding of five megabytes has a mapping of its own.
        using var model = new RandomModel(RandomModel.Llama(2).Set("llama.vocab_size", 20_000).Build(), _ => GgmlType.F32);
        var source = new FailingSource(model.File);
        int asks = Loads(source, model.Shape, int.MaxValue) ? source.Asks : 0;
        Assert.InRange(asks, 40, 1000);
        Assert.False(Loads(source, model.Shape, asks - 1));
        WithoutFinalizers(() =>
        {
            (int descriptors, long mapped) = Held();
            for (int at = 0; at < asks; at++)
            {
                Assert.False(Loads(source, model.Shape, at), $"loaded although ask {at} of {asks} failed");
            }

            (int descriptorsAfter, long mappedAfter) = Held();
            Assert.Equal(descriptors, descriptorsAfter);
            Assert.InRange(mappedAfter - mapped, long.MinValue, Slack);
        });
    }

    /// <summary>While the thread that runs finalizers stands still: what only they would give back is not given back.</summary>
    private static void WithoutFinalizers(Action action)
    {
        // Not disposed: the thread may still be about to look at them.
        ManualResetEventSlim standing = new(), goOn = new();
        try
        {
            Forget(standing, goOn);
            GC.Collect();
            Assert.True(standing.Wait(TimeSpan.FromSeconds(60)));
            action();
        }
        finally
        {
            goOn.Set();
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Forget(ManualResetEventSlim standing, ManualResetEventSlim goOn) => _ = new Halt(standing, goOn);

    private sealed class Halt(ManualResetEventSlim standing, ManualResetEventSlim goOn)
    {
        ~Halt()
        {
            standing.Set();
            goOn.Wait(TimeSpan.FromSeconds(60));
        }
    }

    private static bool Loads(FailingSource source, ModelShape shape, int failAt)
    {
        (source.Asks, source.FailAt) = (0, failAt);
        try
        {
            Stage.Load(source, shape, new LayerRange(0, shape.LayerCount), s_options).Dispose();
            return true;
        }
        catch (IOException e)
        {
            Assert.Equal("Input/output error", e.Message);
            return false;
        }
    }

    private static (int Descriptors, long MappedBytes) Held()
    {
        string size = File.ReadLines("/proc/self/status").First(line => line.StartsWith("VmSize:", StringComparison.Ordinal));
        return (Directory.GetFileSystemEntries("/proc/self/fd").Length, long.Parse(size["VmSize:".Length..^" kB".Length], CultureInfo.InvariantCulture) << 10);
    }

    /// <summary>Each tensor ends at a page that may not be read: a kernel or a packer that goes one byte too far ends this process.</summary>
    [Trait("Attack", "A4")]
    [Theory]
    [InlineData(GgmlType.F32)]
    [InlineData(GgmlType.F16)]
    [InlineData(GgmlType.Q8_0)]
    [InlineData(GgmlType.Q4_0)]
    [InlineData(GgmlType.Q5_1)]
    public void Load_TensorsThatEndAtAForbiddenPage_ReadsNoByteBehindThem(GgmlType type)
    {
        using var model = new RandomModel(RandomModel.Llama(2).Build(), _ => type);
        using var source = new GuardedSource(model.File);
        Assert.Equal(Logits(model.File, model.Shape), Logits(source, model.Shape));
    }

    private static float[] Logits(ITensorSource source, ModelShape shape)
    {
        using Stage stage = Stage.Load(source, shape, new LayerRange(0, shape.LayerCount), s_options);
        stage.Cache.Append(0, [0]);
        var batch = new StepBatch(4);
        batch.Add(shape.VocabularySize - 1, 0, 0, wantsLogits: true);
        stage.Forward(batch, [], []);
        return stage.Logits(0).ToArray();
    }

    private sealed class FailingSource(GgufFile file) : ITensorSource
    {
        public int Asks { get; set; }

        public int FailAt { get; set; }

        public bool TryGet(string name, out TensorView tensor)
        {
            Ask();
            return file.TryGet(name, out tensor);
        }

        public void Release(in TensorView tensor) => Ask();

        private void Ask()
        {
            if (Asks++ == FailAt)
            {
                throw new IOException("Input/output error");
            }
        }
    }

    /// <summary>Copies of a file's tensors, each at the end of pages of its own with one behind them that may not be touched.</summary>
    private sealed unsafe partial class GuardedSource : ITensorSource, IDisposable
    {
        private const int ReadWrite = 3, Forbidden = 0, PrivateAnonymous = 0x22;
        private readonly Dictionary<string, TensorView> _tensors = [];
        private readonly List<(nint Address, nuint Length)> _mappings = [];

        public GuardedSource(GgufFile file)
        {
            nint page = Environment.SystemPageSize;
            foreach (TensorView tensor in file.Tensors)
            {
                nint held = ((nint)tensor.ByteLength + page - 1) / page * page;
                nint start = Map(0, (nuint)(held + page), ReadWrite, PrivateAnonymous, -1, 0);
                Assert.NotEqual(-1, start);
                _mappings.Add((start, (nuint)(held + page)));
                Assert.Equal(0, Protect(start + held, (nuint)page, Forbidden));
                nint address = start + held - (nint)tensor.ByteLength;
                tensor.RowBytes(0, (int)tensor.Rows).CopyTo(new Span<byte>((void*)address, (int)tensor.ByteLength));
                _tensors[tensor.Name] = tensor with { Address = address };
            }
        }

        public bool TryGet(string name, out TensorView tensor) => _tensors.TryGetValue(name, out tensor);

        public void Dispose()
        {
            foreach ((nint address, nuint length) in _mappings)
            {
                Unmap(address, length);
            }
        }

        [LibraryImport("libc", EntryPoint = "mmap")]
        private static partial nint Map(nint address, nuint length, int protection, int flags, int file, nint offset);

        [LibraryImport("libc", EntryPoint = "mprotect")]
        private static partial int Protect(nint address, nuint length, int protection);

        [LibraryImport("libc", EntryPoint = "munmap")]
        private static partial int Unmap(nint address, nuint length);
    }
}
