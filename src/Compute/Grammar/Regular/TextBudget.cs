namespace Lamina.Compute.Grammar.Regular;

/// <summary>Work that the constraints of one schema may cost together, whatever they are: some tens of milliseconds.</summary>
internal sealed class TextBudget
{
    private long _left = GrammarLimits.ConstraintWork;

    public void Spend(long work)
    {
        _left -= work;
        if (_left < 0)
        {
            throw new GrammarException("the schema's constraints are too large together");
        }
    }
}
