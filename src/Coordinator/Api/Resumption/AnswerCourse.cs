using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Lamina.Coordinator.Api.Resumption;

/// <summary>The tokens that each choice of a kept answer has emitted: with them and the request, any coordinator goes on where another was lost. Thread-safe.</summary>
internal sealed class AnswerCourse
{
    private readonly Lock _lock = new();
    private readonly List<List<int>> _choices = [];

    /// <summary>Called after each change, on the thread that made it.</summary>
    public Action? Changed { get; set; }

    public int Choices
    {
        get
        {
            lock (_lock)
            {
                return _choices.Count;
            }
        }
    }

    public int CountOf(int choice)
    {
        lock (_lock)
        {
            return choice < _choices.Count ? _choices[choice].Count : 0;
        }
    }

    /// <param name="first">Tokens of the choice to leave out.</param>
    public int[] TokensOf(int choice, int first = 0)
    {
        lock (_lock)
        {
            return choice < _choices.Count && first < _choices[choice].Count ? [.. _choices[choice][first..]] : [];
        }
    }

    public void Append(int choice, ReadOnlySpan<int> tokens)
    {
        lock (_lock)
        {
            while (_choices.Count <= choice)
            {
                _choices.Add([]);
            }

            _choices[choice].AddRange(tokens);
        }

        Changed?.Invoke();
    }

    public AnswerCourse Copy()
    {
        var copy = new AnswerCourse();
        lock (_lock)
        {
            copy._choices.AddRange(_choices.Select(tokens => new List<int>(tokens)));
        }

        return copy;
    }

    /// <summary>Forgets the tokens and clears their memory.</summary>
    public void Clear()
    {
        lock (_lock)
        {
            foreach (List<int> tokens in _choices)
            {
                CryptographicOperations.ZeroMemory(MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(tokens)));
            }

            _choices.Clear();
        }
    }
}

/// <summary>What a kept answer follows from.</summary>
/// <param name="Route">Path of the endpoint that was asked.</param>
/// <param name="Term">0 where it was begun; one more each time that another coordinator takes it over.</param>
/// <param name="Model">Digest of the model that made it before it was taken over.</param>
/// <param name="Usage">The row of the ledger that it was charged in before it was taken over.</param>
internal sealed record KeptRequest(string Route, ReadOnlyMemory<byte> Body, AnswerCourse Course, int Term = 0, Guid? Usage = null, string? Model = null);
