using System.Diagnostics;
using System.Security.Cryptography;
using Lamina.Cluster.Messages;
using Lamina.Compute.Sampling;
using Lamina.Coordinator.Models;
using Lamina.Coordinator.Quotas;

namespace Lamina.Coordinator.Api;

/// <summary>Embeds the texts of one request side by side.</summary>
/// <param name="meter">As whom the texts are embedded.</param>
/// <param name="priority">Against other work; higher comes first.</param>
internal sealed class Embedder(Cell cell, ServedModel model, ApiMetrics metrics, AnswerMeter meter, int priority = 0)
{
    /// <summary>Texts of one request that are under way: enough to fill steps, few enough to leave room for others.</summary>
    private const int MaxSideBySide = 32;

    private static readonly SamplingSettings s_unused = SamplingSettings.From(new SamplingParameters());

    /// <summary>An embedding for each text, in order. Throws <see cref="ApiException"/> when one cannot be made.</summary>
    public async Task<float[][]> EmbedAsync(IReadOnlyList<int[]> texts, CancellationToken cancellation)
    {
        float[][] embeddings = new float[texts.Count][];
        var options = new ParallelOptions { MaxDegreeOfParallelism = MaxSideBySide, CancellationToken = cancellation };
        await Parallel.ForAsync(0, texts.Count, options, async (i, stop) => embeddings[i] = await EmbedAsync(texts[i], stop));
        return embeddings;
    }

    /// <summary>What embedding the texts may come to cost.</summary>
    public static AnswerMeter Measure(ServedModel model, IReadOnlyList<int[]> texts)
    {
        int together = Math.Min(texts.Count, MaxSideBySide);
        var cost = new RequestCost(texts.Sum(text => (long)text.Length), 0, 1, together == 0 ? 0 : together * model.KvBytes(texts.Max(text => text.Length)));
        return new AnswerMeter(model.Name, model.Stored.Digest.ToString(), cost);
    }

    private async Task<float[]> EmbedAsync(int[] tokens, CancellationToken cancellation)
    {
        var id = new GenerationId(BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8)), BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8)));
        GenerationTimer timer = metrics.StartGeneration(cell.Tenant, model.Name, tokens.Length);
        using Activity? span = ApiTrace.StartGeneration(cell.Tenant, model.Name, tokens.Length);
        GenerationOutcome outcome = GenerationOutcome.Failed;
        try
        {
            (GenerationProtocol.GenerationEnded ended, float[]? embedding) = await cell.EmbedAsync(
                model.Name, new GenerationProtocol.Submit(cell.Tenant, id, tokens, [], 1, [], s_unused, meter.Share.PriorityOf(priority), Pool: true, Lane: meter.Share.Lane, Weight: meter.Share.Weight, TraceParent: span?.Id), cancellation, model.Stored.Digest.ToString(), epoch => meter.Epoch = epoch);
            cancellation.ThrowIfCancellationRequested();
            outcome = ended.Outcome;
            return embedding?.Length == model.Shape.EmbeddingLength && embedding.All(float.IsFinite) ? embedding
                : outcome == GenerationOutcome.Refused ? throw ApiError.Overloaded("the model has as many requests as it can take; try again later").AsException()
                : outcome == GenerationOutcome.ModelReplaced ? throw ApiError.ModelReplaced().AsException()
                : throw ApiError.Unavailable("the model's pipeline was lost and has not come back in time").AsException();
        }
        catch (InvalidOperationException)
        {
            // The cell was closed, or the deployment removed, meanwhile.
            throw ApiError.Unavailable("the model is not served any more").AsException();
        }
        finally
        {
            timer.End(outcome);
            ApiTrace.EndGeneration(span, outcome, 0);
        }
    }
}
