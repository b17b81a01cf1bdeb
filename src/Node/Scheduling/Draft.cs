using Lamina.Compute.Model;

namespace Lamina.Node.Scheduling;

/// <summary>
/// The tokens a sequence guesses ahead, verified with its next row in one step, and how many it dares: twice as many after all were right, and after none were (as often as the
/// drafter has patience), none for a while that doubles each time, so that a text which cannot be guessed costs next to nothing.
/// </summary>
internal sealed class Draft(int maxTokens, IDrafter drafter)
{
    private const int FirstLength = 4;
    private const int FirstPause = 4;
    private const int LongestPause = 128;

    private readonly int[] _tokens = UnmovedArray.New<int>(maxTokens);
    private int _count;
    private int _length = Math.Min(FirstLength, maxTokens);
    private int _pause = FirstPause;
    private int _pausing;
    private int _misses;

    /// <summary>What is being verified; empty most of the time.</summary>
    public ReadOnlySpan<int> Tokens => _tokens.AsSpan(0, _count);

    /// <summary>Makes a guess of at most that many tokens; it may be shortened with <see cref="Shorten"/> before it is planned.</summary>
    public void Guess(int slot, ReadOnlySpan<int> history, int most)
    {
        if (_pausing > 0)
        {
            _pausing--;
            return;
        }

        int count = Math.Min(_length, most);
        _count = count > 0 ? drafter.Guess(slot, history, _tokens.AsSpan(0, count)) : 0;
    }

    public void Shorten(int count)
    {
        if (count < _count)
        {
            Array.Clear(_tokens, count, _count - count);
            _count = count;
        }
    }

    /// <summary>The first <paramref name="accepted"/> tokens were right; forgets the guess.</summary>
    public void Observe(int accepted)
    {
        if (_count > 0 && accepted == 0)
        {
            _length = 1;
            if (++_misses > drafter.Patience)
            {
                _pausing = _pause;
                _pause = Math.Min(2 * _pause, LongestPause);
            }
        }
        else if (_count > 0)
        {
            _misses = 0;
            _pause = 2 * accepted >= _count ? FirstPause : _pause;
            _length = accepted == _count ? Math.Min(2 * Math.Max(_length, 1), _tokens.Length) : accepted;
        }

        Array.Clear(_tokens, 0, _count);
        _count = 0;
    }
}
