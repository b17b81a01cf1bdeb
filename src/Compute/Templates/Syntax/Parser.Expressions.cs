namespace Lamina.Compute.Templates.Syntax;

internal sealed partial class Parser
{
    private static readonly string[] Comparisons = ["==", "!=", "<", "<=", ">", ">="];

    private Expression ParseExpression(bool withConditional = true)
    {
        Enter();
        int line = Current.Line;
        Expression expression = ParseOr();
        while (withConditional && TryName("if"))
        {
            Expression condition = ParseOr();
            Expression? otherwise = TryName("else") ? ParseExpression() : null;
            expression = new ConditionalExpression(condition, expression, otherwise, line);
        }

        Leave();
        return expression;
    }

    /// <summary>An expression, or several with commas between them, which make a tuple.</summary>
    private Expression ParseTuple(bool withConditional = true)
    {
        int line = Current.Line;
        Expression first = ParseExpression(withConditional);
        if (!Current.IsOperator(","))
        {
            return first;
        }

        List<Expression> items = [first];
        while (TryOperator(",") && !AtTupleEnd())
        {
            items.Add(ParseExpression(withConditional));
        }

        return new ListExpression(items, IsTuple: true, line);
    }

    private bool AtTupleEnd() => Current.Kind is TokenKind.VariableEnd or TokenKind.BlockEnd || Current.IsOperator(")") || Current.IsOperator("]");

    private Expression ParseOr()
    {
        Expression left = ParseAnd();
        while (Current.IsName("or"))
        {
            int line = Next().Line;
            left = new LogicalExpression(false, left, ParseAnd(), line);
        }

        return left;
    }

    private Expression ParseAnd()
    {
        Expression left = ParseNot();
        while (Current.IsName("and"))
        {
            int line = Next().Line;
            left = new LogicalExpression(true, left, ParseNot(), line);
        }

        return left;
    }

    private Expression ParseNot()
    {
        if (!Current.IsName("not"))
        {
            return ParseComparison();
        }

        Enter();
        int line = Next().Line;
        UnaryExpression negation = new("not", ParseNot(), line);
        Leave();
        return negation;
    }

    private Expression ParseComparison()
    {
        int line = Current.Line;
        Expression first = ParseSum();
        List<(string, Expression)> rest = [];
        while (true)
        {
            if (Current.Kind == TokenKind.Operator && Comparisons.Contains(Current.Text))
            {
                string op = Next().Text;
                rest.Add((op, ParseSum()));
            }
            else if (TryName("in"))
            {
                rest.Add(("in", ParseSum()));
            }
            else if (Current.IsName("not") && tokens[_position + 1].IsName("in"))
            {
                _position += 2;
                rest.Add(("not in", ParseSum()));
            }
            else
            {
                return rest.Count == 0 ? first : new ComparisonExpression(first, rest, line);
            }
        }
    }

    private Expression ParseSum()
    {
        Expression left = ParseConcat();
        while (Current.IsOperator("+") || Current.IsOperator("-"))
        {
            Token op = Next();
            left = new BinaryExpression(op.Text, left, ParseConcat(), op.Line);
        }

        return left;
    }

    private Expression ParseConcat()
    {
        int line = Current.Line;
        List<Expression> parts = [ParseProduct()];
        while (TryOperator("~"))
        {
            parts.Add(ParseProduct());
        }

        return parts.Count == 1 ? parts[0] : new ConcatExpression(parts, line);
    }

    private Expression ParseProduct()
    {
        Expression left = ParsePower();
        while (Current.Kind == TokenKind.Operator && Current.Text is "*" or "/" or "//" or "%")
        {
            Token op = Next();
            left = new BinaryExpression(op.Text, left, ParsePower(), op.Line);
        }

        return left;
    }

    private Expression ParsePower()
    {
        Expression left = ParseUnary();
        while (Current.IsOperator("**"))
        {
            int line = Next().Line;
            left = new BinaryExpression("**", left, ParseUnary(), line);
        }

        return left;
    }

    private Expression ParseUnary(bool withFilter = true)
    {
        Expression node;
        if (Current.IsOperator("-") || Current.IsOperator("+"))
        {
            Enter();
            Token op = Next();
            node = new UnaryExpression(op.Text, ParseUnary(withFilter: false), op.Line);
            Leave();
        }
        else
        {
            node = ParsePrimary();
        }

        node = ParsePostfix(node);
        return withFilter ? ParseFiltersAndTests(node) : node;
    }
}
