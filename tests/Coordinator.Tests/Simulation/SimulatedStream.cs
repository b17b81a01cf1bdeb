using Lamina.Cluster.Messages;
using Lamina.Compute.Sampling;
using Lamina.Coordinator.Generations;

namespace Lamina.Coordinator.Tests.Simulation;

/// <summary>A generation under test, what its caller has seen of it, and the "model": each token is a function of prompt and all tokens before it.</summary>
internal sealed class SimulatedStream
{
    private readonly List<int> _seen = [];

    /// <param name="twice">A planted bug: every tenth token reaches the caller twice.</param>
    public SimulatedStream(int number, int maxTokens, bool twice)
    {
        Submit = new GenerationProtocol.Submit(
            CellSimulation.Tenant, new GenerationId(0, (ulong)number), [number], [], maxTokens, [], SamplingSettings.From(new SamplingParameters()), 0);
        Run = new GenerationRun(Submit, fresh =>
        {
            Take(fresh);
            if (twice && _seen.Count % 10 == 0)
            {
                Take(fresh);
            }
        });
    }

    public GenerationProtocol.Submit Submit { get; }

    public GenerationRun Run { get; }

    public GenerationAttempt? Attempt { get; set; }

    /// <summary>Where the attempt runs.</summary>
    public int Epoch { get; set; }

    public GenerationOutcome? Outcome { get; set; }

    /// <summary>The first thing that the caller should not have seen, or null.</summary>
    public string? Wrong { get; private set; }

    /// <summary>True when the caller has every token once.</summary>
    public bool IsWhole => _seen.Count == Submit.MaxTokens;

    public static int Next(int prompt, IEnumerable<int> tokens) => tokens.Aggregate(prompt, (hash, token) => unchecked((hash * 31) + token + 7)) & 0xFFFF;

    /// <summary>What a pipeline computed that no longer counts must not reach the caller, even where it is the same.</summary>
    public void CheckFence(int epoch, int emittedBefore)
    {
        if (epoch != Epoch && Run.State.Emitted.Count > emittedBefore)
        {
            Wrong ??= $"tokens of epoch {epoch} were delivered in epoch {Epoch}";
        }
    }

    private void Take(GenerationProtocol.TokensGenerated fresh)
    {
        if (fresh.FirstIndex != _seen.Count)
        {
            Wrong ??= $"tokens from {fresh.FirstIndex} on came after {_seen.Count}";
        }

        foreach (int token in fresh.Tokens)
        {
            if (token != Next(Submit.PromptTokens[0], _seen))
            {
                Wrong ??= $"token {_seen.Count} is {token}, undisturbed it is {Next(Submit.PromptTokens[0], _seen)}";
            }

            _seen.Add(token);
        }
    }
}
