namespace Lamina.Compute.Templates.Evaluation;

/// <summary>What is left of the work that one rendering may do.</summary>
internal sealed class Budget
{
    private int _steps = TemplateLimits.Steps;
    private long _characters = TemplateLimits.Characters;
    private int _depth;

    public void Step(int count = 1)
    {
        if ((_steps -= count) < 0)
        {
            throw new TemplateException($"the template takes more than {TemplateLimits.Steps} steps");
        }
    }

    /// <summary>Accounts for text that an operation looks at.</summary>
    public void Read(long characters)
    {
        if ((_characters -= characters) < 0)
        {
            throw new TemplateException("the template works on too much text");
        }
    }

    /// <summary>Accounts for text that is made, before it is made where its length is known.</summary>
    public void Write(long characters)
    {
        if (characters > TemplateLimits.TextLength)
        {
            throw new TemplateException($"a text of {characters} characters is longer than {TemplateLimits.TextLength}");
        }

        Read(characters * TemplateLimits.WriteCost);
    }

    public void Enter(int extra = 0)
    {
        Step();
        if (++_depth > TemplateLimits.EvaluationDepth + extra)
        {
            throw new TemplateException("the template nests or recurses too deep");
        }
    }

    public void Leave() => _depth--;
}
