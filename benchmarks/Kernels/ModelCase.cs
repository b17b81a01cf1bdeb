using System.Diagnostics;
using System.Runtime.InteropServices;
using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels;
using Lamina.Compute.Model;

namespace Lamina.Kernels.Bench;

/// <summary>A whole model through one stage: prompt and decode speed, by processor time for one thread and by the wall clock for several.</summary>
internal static partial class ModelCase
{
    public static void Measure(string path, int threads, CpuVariant variant, int prompt, int decode, int context, int rounds)
    {
        using GgufFile file = GgufFile.Open(path);
        ModelShape shape = ModelShape.FromGguf(file.Metadata);
        int length = Math.Max(prompt, context) + decode + 8;
        var options = new StageOptions { Threads = threads, Variant = variant, MaxBatchRows = 512, KvBlocks = (length / KvCache.BlockPositions) + 1, ContextLength = length };
        long start = Stopwatch.GetTimestamp();
        using Stage stage = Stage.Load(file, shape, new LayerRange(0, shape.LayerCount), options);
        Console.WriteLine($"{Path.GetFileName(path)}: loaded in {Stopwatch.GetElapsedTime(start).TotalSeconds:F1} s, {stage.MemoryBytes / 1e6:F0} MB ({stage.MemoryBytes / (double)file.FileLength:F3} of the file)");
        var batch = new StepBatch(512);
        int[] blocks = [.. Enumerable.Range(0, options.KvBlocks)];
        double bestPrompt = 0, bestDecode = 0;
        for (int round = 0; round < rounds; round++)
        {
            stage.Cache.Append(0, blocks);
            bestPrompt = Math.Max(bestPrompt, prompt / Time(threads, () => Prefill(stage, batch, 0, prompt)));
            Prefill(stage, batch, prompt, context);
            int first = Math.Max(prompt, context);
            bestDecode = Math.Max(bestDecode, decode / Time(threads, () =>
            {
                for (int i = 0; i < decode; i++)
                {
                    batch.Clear();
                    batch.Add(100 + i, first + i, 0, wantsLogits: true);
                    stage.Forward(batch, default, default);
                }
            }));
            stage.Cache.Release(0);
        }

        Console.WriteLine($"  {variant}, {threads} threads: prompt {prompt} {bestPrompt:F1} tokens/s, decode at {Math.Max(prompt, context)} {bestDecode:F2} tokens/s (best of {rounds})");
    }

    private static void Prefill(Stage stage, StepBatch batch, int first, int end)
    {
        for (int i = first; i < end; i += batch.MaxRows)
        {
            batch.Clear();
            for (int k = i; k < Math.Min(end, i + batch.MaxRows); k++)
            {
                batch.Add((100 + (k * 7919 % 20000)) % stage.Shape.VocabularySize, k, 0, wantsLogits: k == end - 1);
            }

            stage.Forward(batch, default, default);
        }
    }

    public static double Time(int threads, Action action)
    {
        long start = Now(threads);
        action();
        return (Now(threads) - start) / 1e9;
    }

    // One thread: its processor time, which neighbours disturb least. Several: the clock on the wall.
    private static unsafe long Now(int threads)
    {
        if (threads > 1 || !OperatingSystem.IsLinux())
        {
            return Stopwatch.GetTimestamp() * (1_000_000_000 / Stopwatch.Frequency);
        }

        long* time = stackalloc long[2];
        return ThreadClock(3, time) == 0 ? (time[0] * 1_000_000_000) + time[1] : throw new InvalidOperationException("no thread clock");
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    private static unsafe partial int ThreadClock(int clock, long* time);
}
